//! The XDP programs in the real kernel, run by `BPF_PROG_TEST_RUN`.

use ha_agent::datapath::kernel::{Kernel, LoadOptions};

#[test]
fn the_object_passes_the_verifier() {
    match Kernel::load(LoadOptions {
        pin_dir: None,
        max_slots: 64,
        debug: false,
    }) {
        Ok(_) => {}
        Err(error) => panic!("{error:#}\n{error:?}"),
    }
}
