//! Whether the addresses of an instance fit an advert.

use ha_common::units::{Family, Version};
use ha_common::wire::numbers::MAX_LENGTH;

use crate::config::diagnostics::Report;
use crate::config::model::advert_size::AdvertSize;
use crate::config::read::RawInstance;

/// The MTU of Ethernet, in bytes.
const USUAL_MTU: usize = 1500;

/// Reports addresses that do not fit an advert.
pub(crate) fn check(report: &Report<'_>, raw: &RawInstance) {
    let (Some(version), Some(family)) = (raw.version.as_ref(), raw.owned.family) else {
        return;
    };
    let version = *version.get_ref();
    if version == Version::V2 && family == Family::V6 {
        // Refused anyway.
        return;
    }
    let hmac = raw.hmac.as_ref().and_then(|at| at.get_ref().as_ref());
    let signed = hmac.is_some_and(|hmac| hmac.signing_key().is_some());
    let size = AdvertSize::new(version, family, signed);
    let addresses = &raw.owned.addresses;
    let most = size.most(usize::MAX);
    let at_usual_mtu = size.most_at(USUAL_MTU);
    if let Some(over) = addresses.get(most) {
        let message = format!(
            "an advert holds at most {most} {}, and here are {}: receivers discard adverts longer than \
             {MAX_LENGTH} bytes; move the others to `excluded`, or to further instances",
            size.in_words(),
            addresses.len()
        );
        report.error(&over.span(), message);
    } else if let Some(over) = addresses.get(at_usual_mtu) {
        let message = format!(
            "an advert holds only {at_usual_mtu} {} at the usual MTU of {USUAL_MTU} bytes, and adverts are \
             never fragmented: on such an interface this instance is in FAULT; move the others to \
             `excluded`, or to further instances",
            size.in_words()
        );
        report.warn(&over.span(), message);
    }
}
