//! The control protocol: any line is a request or an error, and a request reads back as itself.
#![no_main]

use ha_agent::control::protocol::parse_request;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    match parse_request(data) {
        Ok(command) => {
            let line = command.to_line();
            assert_eq!(
                parse_request(line.trim_end().as_bytes()).ok(),
                Some(command)
            );
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
