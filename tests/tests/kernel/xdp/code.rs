//! The functions of the built object, instruction by instruction (RFC 9669).

use std::collections::BTreeSet;
use std::ops::Range;

use object::{
    Object as _, ObjectSection as _, ObjectSymbol as _, Relocation, RelocationTarget, SectionIndex,
    SymbolKind,
};

/// The frame pointer.
const FP: u8 = 10;

/// An instruction (RFC 9669 section 3.1).
#[derive(Clone, Copy)]
pub(crate) struct Instruction {
    pub(crate) opcode: u8,
    pub(crate) destination: u8,
    source: u8,
    offset: i16,
    pub(crate) immediate: i32,
}

impl Instruction {
    fn read(bytes: &[u8]) -> Self {
        let [opcode, registers, o1, o2, i1, i2, i3, i4] = *bytes else {
            panic!("eight bytes");
        };
        Self {
            opcode,
            destination: registers & 15,
            source: registers >> 4,
            offset: i16::from_le_bytes([o1, o2]),
            immediate: i32::from_le_bytes([i1, i2, i3, i4]),
        }
    }

    /// RFC 9669 section 3.3: the class.
    const fn class(self) -> u8 {
        self.opcode & 7
    }

    /// Bytes that a load or store moves.
    const fn size(self) -> i16 {
        match self.opcode & 0x18 {
            0x00 => 4,
            0x08 => 2,
            0x10 => 1,
            _ => 8,
        }
    }

    /// The bytes of the stack that it loads.
    pub(crate) fn loads(self) -> Option<Range<i16>> {
        (self.class() == 1 && self.source == FP).then(|| self.offset..self.offset + self.size())
    }

    /// Those that it stores.
    pub(crate) fn stores(self) -> Option<Range<i16>> {
        (matches!(self.class(), 2 | 3) && self.destination == FP)
            .then(|| self.offset..self.offset + self.size())
    }

    /// Whether it makes a pointer to the stack, to the place that the next instruction adds.
    pub(crate) const fn takes_address(self) -> bool {
        self.opcode == 0xbf && self.source == FP
    }

    /// Whether it calls a function of the object: a helper's call has another source.
    const fn calls(self) -> bool {
        self.opcode == 0x85 && self.source == 1
    }

    /// Where it goes on, counted from itself.
    pub(crate) fn next(self) -> Vec<isize> {
        let jump = 1 + isize::from(self.offset);
        match (self.opcode, self.class()) {
            (0x95, _) => Vec::new(),
            (0x18, _) => vec![2],
            (0x85, _) => vec![1],
            (0x05, _) => vec![jump],
            (0x06, _) => vec![1 + isize::try_from(self.immediate).expect("a short jump")],
            (_, 5 | 6) => vec![1, jump],
            _ => vec![1],
        }
    }
}

/// A function of the object.
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) body: Vec<Instruction>,
    /// Functions of the object that it calls.
    pub(crate) callees: BTreeSet<String>,
}

/// All of them.
pub(crate) fn functions() -> Vec<Function> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/ebpf/ha-ebpf.o");
    let bytes = std::fs::read(path).expect("cargo xtask build-ebpf has made it");
    let file = object::File::parse(&*bytes).expect("an ELF file");
    let found: Vec<_> = symbols(&file).map(|symbol| read(&file, &symbol)).collect();
    assert!(found.len() > 10, "{} functions", found.len());
    found
}

fn symbols<'a, 'd>(file: &'a object::File<'d>) -> impl Iterator<Item = object::Symbol<'d, 'a>> {
    file.symbols()
        .filter(|it| it.kind() == SymbolKind::Text && it.size() > 0)
}

fn read(file: &object::File<'_>, symbol: &object::Symbol<'_, '_>) -> Function {
    let index = symbol.section_index().expect("it is defined");
    let section = file.section_by_index(index).expect("its section");
    let start = number(symbol.address());
    let data = section.data().expect("its code");
    let code = data
        .get(start..start + number(symbol.size()))
        .expect("its code");
    let body: Vec<_> = code.chunks_exact(8).map(Instruction::read).collect();
    let relocations: Vec<_> = section.relocations().collect();
    let calls = body.iter().enumerate().filter(|(_, it)| it.calls());
    let callees = calls.map(|(place, call)| {
        let at = start + place * 8;
        let relocation = relocations.iter().find(|(other, _)| number(*other) == at);
        callee(file, index, at, *call, relocation.map(|(_, it)| it))
    });
    let callees = callees.collect();
    Function {
        name: symbol.name().expect("its name").to_owned(),
        body,
        callees,
    }
}

/// What a call calls: the immediate counts instructions from the next one, or by a relocation from the start of a
/// section; or the relocation names a function.
fn callee(
    file: &object::File<'_>,
    section: SectionIndex,
    at: usize,
    call: Instruction,
    relocation: Option<&Relocation>,
) -> String {
    let from = |base: usize| {
        let distance = (isize::try_from(call.immediate).expect("short") + 1) * 8;
        base.checked_add_signed(distance)
            .expect("within the section")
    };
    let (section, address) = match relocation.map(Relocation::target) {
        Some(RelocationTarget::Symbol(target)) => {
            let target = file.symbol_by_index(target).expect("a symbol");
            let section = target.section_index().expect("a section");
            if target.kind() == SymbolKind::Section {
                (section, from(0))
            } else {
                (section, number(target.address()))
            }
        }
        _ => (section, from(at)),
    };
    let called = symbols(file).find(|it| {
        let start = number(it.address());
        it.section_index() == Some(section) && (start..start + number(it.size())).contains(&address)
    });
    called
        .expect("a function")
        .name()
        .expect("its name")
        .to_owned()
}

fn number(value: u64) -> usize {
    usize::try_from(value).expect("a small object")
}
