//! Adverts that keepalived 2.4.3 signed and sent, as they were captured: a witness of the format that is nobody's
//! reading of it.

/// The secret, which all of them share: the bytes 0 to 31.
pub const SECRET: [u8; 32] = *b"\
    \x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\
    \x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f";

/// One frame.
#[derive(Clone, Copy, Debug)]
pub struct Captured {
    /// The virtual router that it is of.
    pub vrid: u8,
    /// 2 or 3.
    pub version: u8,
    /// The number of the key.
    pub key_id: u8,
    /// The frame in hexadecimal digits.
    pub frame: &'static str,
}

impl Captured {
    /// The frame's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let (pairs, _) = self.frame.as_bytes().as_chunks::<2>();
        let digit = |byte: u8| char::from(byte).to_digit(16).expect("a digit");
        pairs
            .iter()
            .map(|[high, low]| u8::try_from(digit(*high) << 4 | digit(*low)).expect("a byte"))
            .collect()
    }
}

/// Two of each virtual router, one after the other.
pub const CAPTURED: [Captured; 6] = [
    Captured {
        vrid: 51,
        version: 3,
        key_id: 1,
        frame: "01005e0000126235daf7441f080045c0003c00010000ff70d0190a630002e00000123133c801006410ac0a630064010100006b098e2d36ad00003339fcc5368e4aa25456ba5a68b3eba2",
    },
    Captured {
        vrid: 51,
        version: 3,
        key_id: 1,
        frame: "01005e0000126235daf7441f080045c0003c00020000ff70d0180a630002e00000123133c801006410ac0a630064010100006b098e2e373400008d1b39ca5ce1ca6e75e035f4c89c3a93",
    },
    Captured {
        vrid: 53,
        version: 3,
        key_id: 1,
        frame: "3333000000126235daf7441f86dd6c009328003470fffe800000000000000000000000000002ff0200000000000000000000000000123135c80100641edafe800000000000000000000000000100010100006b098e2d372f00008c0d277c49c0e21294aca2b7e68fbb15",
    },
    Captured {
        vrid: 53,
        version: 3,
        key_id: 1,
        frame: "3333000000126235daf7441f86dd6c009328003470fffe800000000000000000000000000002ff0200000000000000000000000000123135c8010064c597fe800000000000000000000000000100010100006b098e2e374400006ec415dd4bb2aa44c5c83b23412b54e3",
    },
    Captured {
        vrid: 52,
        version: 2,
        key_id: 7,
        frame: "01005e0000126235daf7441f080045c0004800010000ff70d00d0a630002e00000122134c802000101370a6300650a6300660000000000000000010700006b098e2d374500003ad25f842fe5d8b6520ff98658067cd5",
    },
    Captured {
        vrid: 52,
        version: 2,
        key_id: 7,
        frame: "01005e0000126235daf7441f080045c0004800020000ff70d00c0a630002e00000122134c802000101370a6300650a6300660000000000000000010700006b098e2e375b0000f13c01cf9e7336a0f1a24130ec5c6ddf",
    },
];
