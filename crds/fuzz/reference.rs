use crate::reference::{MAX_LENGTH, SecretRef};

fn parse(bytes: &[u8]) -> bool {
    let text = super::text(bytes);
    let it = match text.parse::<SecretRef>() {
        Ok(it) => it,
        Err(e) => {
            assert!(e.at <= text.len() && text.is_char_boundary(e.at), "{e:?}");
            return false;
        }
    };
    assert_eq!(it.to_string(), text);
    let again = |text: &str| match text.parse::<SecretRef>() {
        Ok(it) => it,
        Err(e) => panic!("{text:?} is refused: {e}"),
    };
    // The canonical form has room for escapes, which the longest references may lack.
    let canonical = it.canonical();
    if canonical.len() <= MAX_LENGTH {
        assert_eq!(again(&canonical), it);
        assert_eq!(again(&canonical).canonical(), canonical);
    }
    let wide = it.widened();
    if wide.to_string().len() <= MAX_LENGTH {
        assert_eq!(again(&wide.to_string()), wide);
    }
    let json = serde_json::to_string(&it).unwrap();
    assert_eq!(serde_json::from_str::<SecretRef>(&json).unwrap(), it);
    true
}

locket_fuzz::target!(reference, reach: 10, parse);
