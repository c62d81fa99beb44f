use crate::time::{format_rfc3339, format_since, parse_rfc3339};

fn parse(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Some(time) = parse_rfc3339(&text) else {
        return false;
    };
    // Nanoseconds of an `i64` end in 2262, and so does what the engine can say.
    assert_eq!(
        parse_rfc3339(&format_rfc3339(Some(time))),
        Some(time),
        "{text}"
    );
    assert!(format_since(time).contains('.'));
    true
}

locket_fuzz::target!(engine_time, reach: 5, parse);
