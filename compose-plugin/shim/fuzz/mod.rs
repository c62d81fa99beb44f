//! What PID 1 reads before anybody else runs: its own variable, and the variables on the volume.

use std::time::Duration;

use zeroize::Zeroizing;

use crate::config::{LONGEST_WAIT, parse};
use crate::volume::Variables;

fn config(bytes: &[u8]) -> bool {
    match parse(bytes) {
        Ok(it) => {
            assert!(it.path.is_absolute() && it.wait <= LONGEST_WAIT.max(Duration::ZERO));
            true
        }
        Err(_) => false,
    }
}

/// All or nothing: what is taken is, byte for byte, what was there.
fn variables(bytes: &[u8]) -> bool {
    let Some(it) = Variables::parse(Zeroizing::new(bytes.to_vec())) else {
        return false;
    };
    let all: Vec<u8> = it
        .entries()
        .flat_map(|e| e.to_bytes_with_nul().to_vec())
        .collect();
    assert_eq!(all, bytes);
    true
}

locket_fuzz::target!(shim_config, reach: 5, config);
locket_fuzz::target!(shim_variables, reach: 5, variables);
