//! The stack of every function in the object, by its instructions: kernels before 6.3 refuse what those of today do not.

use std::collections::{BTreeMap, BTreeSet};

use super::code::{Function, Instruction, functions};

/// What a program and all it calls may have (`MAX_BPF_STACK`).
const MOST: usize = 512;
/// In steps of which Linux 6.1 counts each function's.
const STEP: usize = 32;

impl Function {
    /// How deep its own stack is.
    fn depth(&self) -> usize {
        let direct = self
            .body
            .iter()
            .filter_map(|it| it.loads().or(it.stores()))
            .map(|bytes| bytes.start);
        let by_pointer = self
            .body
            .windows(2)
            .filter_map(|pair| pointed_to(pair[0], pair[1]));
        let lowest = direct.chain(by_pointer).min().unwrap_or(0);
        usize::from(lowest.unsigned_abs())
    }

    /// Loads of stack that is not written on every way there. What is written through a pointer is taken to be all
    /// from there on.
    fn doubtful_loads(&self) -> Vec<usize> {
        let mut written: BTreeMap<usize, BTreeSet<i16>> = BTreeMap::from([(0, BTreeSet::new())]);
        let mut todo = vec![0];
        while let Some(at) = todo.pop() {
            let instruction = self.body[at];
            let mut after = written[&at].clone();
            after.extend(instruction.stores().into_iter().flatten());
            if let Some(next) = self.body.get(at + 1)
                && let Some(lowest) = pointed_to(instruction, *next)
            {
                after.extend(lowest..0);
            }
            for step in instruction.next() {
                let to = at.checked_add_signed(step).expect("within the function");
                match written.get_mut(&to) {
                    None => {
                        written.insert(to, after.clone());
                        todo.push(to);
                    }
                    Some(known) if !known.is_subset(&after) => {
                        known.retain(|byte| after.contains(byte));
                        todo.push(to);
                    }
                    Some(_) => {}
                }
            }
        }
        let is_doubtful = |(at, known): &(&usize, &BTreeSet<i16>)| {
            let mut loaded = self.body[**at].loads().into_iter().flatten();
            loaded.any(|byte| !known.contains(&byte))
        };
        written
            .iter()
            .filter(is_doubtful)
            .map(|(at, _)| *at)
            .collect()
    }
}

/// Where a pointer to the stack points, if the first of two instructions makes one.
fn pointed_to(first: Instruction, second: Instruction) -> Option<i16> {
    let adds = second.opcode == 0x07 && second.destination == first.destination;
    first.takes_address().then(|| {
        if adds {
            i16::try_from(second.immediate).expect("within the stack")
        } else {
            0
        }
    })
}

/// The deepest chain of calls from a function: bytes, and each function with its own.
fn deepest(all: &BTreeMap<String, Function>, name: &str) -> (usize, Vec<String>) {
    let function = &all[name];
    let own = function.depth().max(1).next_multiple_of(STEP);
    let below = function.callees.iter().map(|callee| deepest(all, callee));
    let (depth, mut chain) = below.max().unwrap_or_default();
    chain.insert(0, format!("{name} {own}"));
    (own + depth, chain)
}

#[test]
fn no_function_loads_stack_that_it_may_not_have_written() {
    for function in functions() {
        let doubtful = function.doubtful_loads();
        assert!(doubtful.is_empty(), "{} at {doubtful:?}", function.name);
    }
}

#[test]
fn no_chain_of_calls_is_deeper_than_linux_6_1_allows() {
    let all: BTreeMap<_, _> = functions()
        .into_iter()
        .map(|it| (it.name.clone(), it))
        .collect();
    for name in all.keys() {
        let (depth, chain) = deepest(&all, name);
        println!("{depth:4}  {}", chain.join(", "));
        assert!(depth <= MOST, "{depth} bytes: {chain:?}");
    }
}
