//! The filters at the tc hooks of the guest's interfaces, as `tc filter show` lists them.

use anyhow::{Context as _, Result, ensure};
use ha_common::layout::names;
use serde_json::Value;

use super::guest::Vm;

/// One of the two hooks of an interface.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Hook {
    /// What comes in.
    Ingress,
    /// What leaves.
    Egress,
}

impl Hook {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Ingress, Self::Egress];

    /// As `tc` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }

    fn program(self) -> &'static str {
        match self {
            Self::Ingress => names::PROG_INGRESS,
            Self::Egress => names::PROG_EGRESS,
        }
    }
}

/// A BPF filter of a `clsact` qdisc.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Filter {
    /// Its preference: lower ones run first.
    pub preference: u64,
    /// What its program is called; classic BPF has no name.
    pub name: Option<String>,
    /// The program's identifier in the kernel; classic BPF has none.
    pub program: Option<u64>,
}

/// The filters of a hook, in the order in which they run; none where there is no qdisc for them.
pub fn filters(vm: &Vm, interface: &str, hook: Hook) -> Result<Vec<Filter>> {
    let text = vm.run(&format!(
        "tc -json filter show dev {interface} {}",
        hook.name()
    ))?;
    read(&text).with_context(|| format!("tc lists no filters but:\n{text}"))
}

/// The identifiers of the agent's programs on an Ethernet interface, ingress before egress. Fails unless there
/// is exactly one of them at each hook.
pub fn own_programs(vm: &Vm, interface: &str) -> Result<[u64; 2]> {
    let mut found = [0; 2];
    for (slot, hook) in found.iter_mut().zip(Hook::BOTH) {
        let all = filters(vm, interface, hook)?;
        let own = all
            .iter()
            .filter(|filter| filter.name.as_deref() == Some(hook.program()))
            .collect::<Vec<_>>();
        ensure!(own.len() == 1, "at {} there are {all:?}", hook.name());
        *slot = own
            .first()
            .and_then(|filter| filter.program)
            .context("a program without an identifier")?;
    }
    Ok(found)
}

fn read(text: &str) -> Result<Vec<Filter>> {
    // Of an interface without such a qdisc it says nothing at all.
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let listed: Vec<Value> = serde_json::from_str(text)?;
    listed
        .iter()
        // The entry before the filters of a preference has none.
        .filter(|entry| entry["options"]["handle"].is_string())
        .map(|entry| {
            let options = &entry["options"];
            Ok(Filter {
                preference: entry["pref"].as_u64().context("no preference")?,
                name: options["bpf_name"].as_str().map(str::to_owned),
                program: options["prog"]["id"].as_u64(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_of_both_kinds_are_read() {
        let text = r#"[{"protocol":"all","pref":1,"kind":"bpf","chain":0},
            {"protocol":"all","pref":1,"kind":"bpf","chain":0,"options":{"handle":"0x2",
             "bpf_name":"ha_ingress","direct-action":true,"not_in_hw":true,"prog":{"id":12,"tag":"ab"}}},
            {"protocol":"all","pref":1,"kind":"bpf","chain":0,"options":{"handle":"0x1","flowid":"1:1",
             "not_in_hw":true,"bytecode":{"length":1,"insns":[{"code":6,"jt":0,"jf":0,"k":0}]}}}]"#;
        let expected = [
            Filter {
                preference: 1,
                name: Some("ha_ingress".to_owned()),
                program: Some(12),
            },
            Filter {
                preference: 1,
                name: None,
                program: None,
            },
        ];
        assert_eq!(read(text).unwrap(), expected);
        assert!(read("\n").unwrap().is_empty());
        assert!(read("Cannot find device").is_err());
    }
}
