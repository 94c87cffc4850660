//! What something else writes into the pinned maps is found, written again, counted and said.

use anyhow::{Context as _, Result, ensure};
use aya::maps::{Array, HashMap, Map, MapData};
use bytemuck::bytes_of;
use ha_agent::datapath::reader::Reader;
use ha_common::layout::{PeerKey, Slot, SlotKey, names};
use ha_tests::lab::agent::State;
use ha_tests::lab::clock::now;
use ha_tests::lab::pair::{PATIENCE, by_auto};
use ha_tests::lab::{Agent, Host, Lab, Pair};

/// Within so long each virtual router is compared with the maps: 10 s, and what a busy machine needs.
const COMPARED_WITHIN: std::time::Duration = std::time::Duration::from_secs(15);

fn slot(host: &Host) -> Result<(u32, Slot)> {
    let reader = Reader::pinned(&host.bpf_dir())?;
    let (_, index) = *reader.entries().first().context("no slot")?;
    Ok((
        index,
        reader.slot(index).context("the slot cannot be read")?,
    ))
}

/// Writes a slot as bpftool would.
fn overwrite(host: &Host, change: impl FnOnce(&mut Slot)) -> Result<()> {
    let (index, mut slot) = slot(host)?;
    change(&mut slot);
    let pin = host.bpf_dir().join(names::MAP_SLOTS);
    let map = Map::Array(MapData::from_pin(pin)?);
    let mut slots: Array<MapData, [u8; size_of::<Slot>()]> = Array::try_from(map)?;
    let bytes = <[u8; size_of::<Slot>()]>::try_from(bytes_of(&slot))?;
    slots.set(index, bytes, 0)?;
    Ok(())
}

/// A write of the map frees the slot's timer as well: the backup must take over at its deadline all the same.
#[test]
fn a_slot_that_something_else_overwrites_is_configured_again_and_takes_over_in_time() -> Result<()>
{
    let pair = Pair::auto()?;
    overwrite(pair.h2(), |slot| {
        slot.own_interval = 4000;
        slot.down_multiplier = 200;
        slot.own_hash = 7;
    })?;
    pair.backup
        .wait("is restored", |it| it.counters.slot_restored == 1)?;
    let line = pair
        .backup
        .process()
        .wait_for_line("something else changed the virtual router", PATIENCE)?;
    ensure!(line.text.contains("its configuration"), "{}", line.text);
    let (_, found) = slot(pair.h2())?;
    ensure!(
        (found.own_interval, found.down_multiplier) == (10, 3) && found.own_hash != 7,
        "{found:?}"
    );
    ensure!(pair.backup.state()? == State::Backup);
    // The first take-over is by the timer that was made anew.
    let cut = now();
    pair.lab.block(pair.h1())?;
    pair.takeover_since(cut)?;
    pair.on_backup.wait_present(PATIENCE)?;
    ensure!(pair.backup.only()?.counters.timer_fired == 1);
    Ok(())
}

#[test]
fn peers_that_something_else_takes_off_or_adds_are_put_right() -> Result<()> {
    let lab = Lab::new(2)?;
    let (h1, h2) = (lab.host(1), lab.host(2));
    let agent = Agent::master(h1, by_auto(100).to_peers(&[h2.ipv4().into()]))?;
    let pin = h1.bpf_dir().join(names::MAP_UNICAST);
    let map = Map::HashMap(MapData::from_pin(pin)?);
    let mut peers: HashMap<MapData, [u8; size_of::<PeerKey>()], [u8; 2]> = HashMap::try_from(map)?;
    let known: Vec<_> = peers.keys().collect::<Result<_, _>>()?;
    let [own] = known[..] else {
        anyhow::bail!("one peer: {known:?}");
    };
    let range = peers.get(&own, 0)?;
    peers.remove(&own)?;
    let mut stranger: PeerKey = bytemuck::pod_read_unaligned(&own);
    stranger.address[3] = 77;
    stranger.slot = SlotKey {
        vrid: 77,
        ..stranger.slot
    };
    let stranger = <[u8; size_of::<PeerKey>()]>::try_from(bytes_of(&stranger))?;
    peers.insert(stranger, range, 0)?;
    let until = std::time::Instant::now() + COMPARED_WITHIN;
    agent.process().wait_for_line(
        "changed the virtual router in the BPF maps (its unicast peers)",
        COMPARED_WITHIN,
    )?;
    agent
        .process()
        .wait_for_line("removed 1 unicast peers", until - std::time::Instant::now())?;
    ensure!(agent.only()?.counters.slot_restored == 1);
    let found: Vec<_> = peers.keys().collect::<Result<_, _>>()?;
    ensure!(found == [own], "{found:?}");
    // It is over once it was found as it was written.
    agent
        .process()
        .wait_for_line("no longer so: something else changed", COMPARED_WITHIN)?;
    Ok(())
}
