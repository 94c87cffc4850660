//! The configuration: any text is a configuration or a list of problems, each with its place.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    match ha_agent::config::parse("fuzz.toml", text) {
        Ok(config) => {
            assert!(!config.instances.is_empty());
            // What one reading accepts, the next one does too, and alike.
            assert_eq!(
                ha_agent::config::parse("fuzz.toml", text).ok(),
                Some(config)
            );
        }
        Err(problems) => assert!(!problems.to_string().is_empty()),
    }
});
