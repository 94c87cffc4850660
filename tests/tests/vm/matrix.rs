//! Of the matrix of interfaces what CI has the time for: those that XDP by itself gets wrong, on the kernel of
//! the ordinary tests, which in Debian 12 has no tcx. `cargo xtask vm --matrix` plays all of it.

use anyhow::{Result, bail, ensure};
use ha_tests::vm::Card;
use ha_tests::vm::matrix::cell::Outcome;
use ha_tests::vm::matrix::{Column, shapes};

#[test]
fn a_bond_hears_its_master_by_either_card() -> Result<()> {
    passes(Card::VirtioNet, "bond-active-backup")
}

#[test]
fn a_bridge_of_a_trunk_is_not_moved_by_what_is_in_a_vlan() -> Result<()> {
    passes(Card::E1000e, "bridge-trunk")
}

#[test]
fn a_wireguard_tunnel_has_no_ethernet_header_and_hears_its_master() -> Result<()> {
    passes(Card::VirtioNet, "wireguard")
}

/// Here nothing may be lacking.
fn passes(card: Card, shape: &str) -> Result<()> {
    let column = Column { kernel: None, card };
    let (_, outcomes) = column.play(&[shapes::named(shape)?], "auto", &|_, _| {});
    ensure!(!outcomes.is_empty(), "nothing was played");
    for outcome in outcomes {
        match outcome {
            Outcome::Passed(_) => {}
            Outcome::Failed(hook, reason) => bail!("{shape} by {hook:?}: {reason}"),
            Outcome::Lacking(reason) => bail!("{shape} cannot be had: {reason}"),
        }
    }
    Ok(())
}
