use crate::template::{MAX_PROBLEMS, Part, Template, position};

fn parse(bytes: &[u8]) -> bool {
    let text = super::text(bytes);
    let it = match Template::parse(&text) {
        Ok(it) => it,
        Err(problems) => {
            assert!((1..=MAX_PROBLEMS).contains(&problems.len()));
            for it in problems {
                assert!(text.get(it.at.clone()).is_some(), "{it:?}");
                let (line, column) = position(&text, it.at.start);
                let line = text.split('\n').nth(line as usize - 1).unwrap();
                assert!(column as usize <= line.chars().count() + 1, "{it:?}");
            }
            return false;
        }
    };
    assert_eq!(it.text(), text);
    let (mut literal, mut end) = (0, 0);
    for part in it.parts() {
        match part {
            Part::Text(text) => {
                assert!(!text.is_empty());
                literal += text.len();
            }
            Part::Expr(e) => {
                let written = &text[e.at.clone()];
                assert!(end <= e.at.start, "{e:?} begins in the one before");
                assert!(written.starts_with("{{") && written.ends_with("}}"));
                end = e.at.end;
            }
        }
    }
    // What is no expression stays, but for escaped braces.
    assert!(literal <= text.len());
    if !text.contains("{{") {
        assert_eq!(it.operands().count(), 0);
        assert_eq!(literal, text.len());
    }
    let json = serde_json::to_string(&it).unwrap();
    assert_eq!(serde_json::from_str::<Template>(&json).unwrap(), it);
    true
}

locket_fuzz::target!(template, reach: 10, parse);
