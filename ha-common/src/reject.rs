//! Why an advertisement was refused: one variant per check, in the order of the checks.
//!
//! The discriminant is the index of the counter, in the kernel's maps and everywhere else.

/// One check of the receive ladder that failed (RFC 9568 section 7.1, RFC 3768 section 7.1).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum Reject {
    /// Not sent to the configured multicast group; where unicast is configured, not to our own address.
    Destination = 0,
    /// A unicast advert whose source is not a configured peer.
    UnknownPeer,
    /// The source is our own address: a loop, or an address on two hosts.
    OwnSource,
    /// The frame ends before the headers do, or lengths contradict each other.
    Truncated,
    /// The message is longer than a 1500-byte frame holds.
    Oversized,
    /// A fragment: adverts are never fragmented, and a fragment cannot be checked.
    Fragment,
    /// TTL or hop limit is not 255, so that the frame did not come from this link; for a unicast peer, not in
    /// its configured range.
    Ttl,
    /// Neither version 2 nor 3, or not the version that is configured.
    Version,
    /// Not type 1, ADVERTISEMENT.
    Type,
    /// The v2 authentication type is not the configured one.
    AuthType,
    /// The v2 password is wrong.
    AuthData,
    /// The checksum is wrong, whichever way it is taken.
    Checksum,
    /// The address list is empty or longer than the message.
    AddressCount,
    /// The v2 interval differs from ours (RFC 3768 section 7.1), or a v3 interval is zero.
    Interval,
    /// No HMAC trailer, and one is required.
    HmacMissing,
    /// An HMAC trailer of an unknown scheme.
    HmacTrailer,
    /// An HMAC trailer by a key that is not configured.
    HmacKey,
    /// An HMAC trailer whose time is out of the window.
    HmacStale,
    /// An HMAC trailer whose time its sender has used before: an advert that was recorded.
    HmacReplay,
    /// The HMAC is wrong: another key of that number, or a forgery.
    HmacDigest,
    /// An HMAC trailer that there was no room for: so many of that station were wrong just now that it is not
    /// looked at, or its sender cannot be remembered.
    HmacLimit,
}

impl Reject {
    /// How many variants there are, which is how many counters a peer has.
    pub const COUNT: usize = 21;

    /// Every variant, in the order of the checks; what a signature costs is looked at before its digest.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Destination,
        Self::UnknownPeer,
        Self::OwnSource,
        Self::Truncated,
        Self::Oversized,
        Self::Fragment,
        Self::Ttl,
        Self::Version,
        Self::Type,
        Self::AuthType,
        Self::AuthData,
        Self::Checksum,
        Self::AddressCount,
        Self::Interval,
        Self::HmacMissing,
        Self::HmacTrailer,
        Self::HmacKey,
        Self::HmacStale,
        Self::HmacReplay,
        Self::HmacDigest,
        Self::HmacLimit,
    ];

    /// The name used in `peers --json`, metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Destination => "destination",
            Self::UnknownPeer => "unknown_peer",
            Self::OwnSource => "own_source",
            Self::Truncated => "truncated",
            Self::Oversized => "oversized",
            Self::Fragment => "fragment",
            Self::Ttl => "ttl",
            Self::Version => "version",
            Self::Type => "type",
            Self::AuthType => "auth_type",
            Self::AuthData => "auth_data",
            Self::Checksum => "checksum",
            Self::AddressCount => "address_count",
            Self::Interval => "interval",
            Self::HmacMissing => "hmac_missing",
            Self::HmacTrailer => "hmac_trailer",
            Self::HmacKey => "hmac_key",
            Self::HmacStale => "hmac_stale",
            Self::HmacReplay => "hmac_replay",
            Self::HmacDigest => "hmac_digest",
            Self::HmacLimit => "hmac_limit",
        }
    }

    /// The variant with this counter index.
    pub const fn from_index(index: usize) -> Option<Self> {
        if index < Self::COUNT {
            Some(Self::ALL[index])
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn discriminants_are_the_counter_indices() {
        for (index, reject) in Reject::ALL.into_iter().enumerate() {
            assert_eq!(reject as usize, index);
            assert_eq!(Reject::from_index(index), Some(reject));
        }
        assert_eq!(Reject::from_index(Reject::COUNT), None);
    }
}
