use crate::yaml::{Node, Value, documents};

/// Levels that the limits allow, with those that a key adds.
const DEEPEST: usize = 128;

fn read(bytes: &[u8]) -> bool {
    let text = super::text(bytes);
    match documents(&text) {
        Ok(all) => {
            all.iter().for_each(|node| check(node, &text, 0));
            true
        }
        Err(e) => {
            assert!(text.get(e.at.clone()).is_some(), "{e:?}");
            assert!(!e.message.is_empty() && !e.message.contains('\n'));
            false
        }
    }
}

fn check(node: &Node, text: &str, depth: usize) {
    assert!(depth <= DEEPEST);
    for at in [&node.defined, &node.used] {
        assert!(text.get(at.clone()).is_some(), "{at:?} of {}", text.len());
    }
    match &node.value {
        Value::List(all) => all.iter().for_each(|it| check(it, text, depth + 1)),
        Value::Map(all) => {
            for e in all {
                assert!(text.get(e.at.clone()).is_some(), "{:?}", e.at);
                check(&e.node, text, depth + 1);
            }
        }
        _ => {}
    }
}

locket_fuzz::target!(yaml, reach: 10, read);
