use super::*;
use expect_test::expect;
use locket_crds::yaml;

/// Takes out whatever is called `GONE…`, as a key or as an item, and renames what is called `OLD`.
fn edited(text: &str) -> String {
    fn walk(node: &Node, edits: &mut Edits) {
        match &node.value {
            Value::Map(all) => {
                for e in all {
                    match e.key.as_deref().unwrap_or_default() {
                        it if it.starts_with("GONE") => {
                            edits.keys.insert(e.at.start);
                        }
                        "OLD" => {
                            let new = ("OLD_FILE".to_owned(), "/run/x".to_owned());
                            edits.renamed.insert(e.at.start, new);
                        }
                        _ => walk(&e.node, edits),
                    }
                }
            }
            Value::List(all) => {
                for it in all {
                    match it.as_str().unwrap_or_default() {
                        text if text.starts_with("GONE") => {
                            edits.items.insert(it.defined.start);
                        }
                        text if text.starts_with("OLD=") => {
                            let new = ("OLD_FILE".to_owned(), "/run/x".to_owned());
                            edits.renamed.insert(it.defined.start, new);
                        }
                        _ => walk(it, edits),
                    }
                }
            }
            _ => {}
        }
    }
    let mut edits = Edits::default();
    walk(&yaml::document(text).unwrap(), &mut edits);
    edits.apply(text).unwrap_or_else(|e| format!("{e}\n"))
}

#[test]
fn entries_go_and_everything_else_stays() {
    let all = [
        "environment:\n  A: 1\n  GONE: x # c\n  B: 2\n",
        "environment: # c\n  # one\n  GONE: x\n  # two\nb: 1\n",
        "a:\n  environment:\n    GONE: |\n      # text\n      x\n\n    B: 2\n",
        "environment: &e\n  GONE: x\nb: *e\n",
        "environment: {GONE: x}\nb: 1\n",
        "a: {environment: {GONE: x}, b: 1}\n",
        "a: {b: 1, environment: {GONE: x}}\n",
        "x: &e {GONE: x}\nb: *e\n",
        "x: {A: 1, GONE: x, GONE2: y}\n",
        "x: {GONE: x, A: 1, GONE2: y, B: 2}\n",
        "x: {\n  GONE: x, # c\n  A: 1,\n  GONE2: y,\n}\n",
        "x: [GONE=1, \"GONE=2\", A=1, 'GONE=3']\n",
        "x:\n- GONE=1\n- A=1\n- GONE=2",
        "secrets:\n  - GONE\n",
        "x: { <<: {A: 1}, GONE: 1 }\n",
        "x: &a {A: 1}\nenvironment:\n  <<: *a\n  GONE: 1\n",
        "OLD: \"x\" # c\nb: 1\n",
        "x: { OLD: x, b: 1 }\ny: [OLD=1, A=2]\nz:\n- \"OLD=1\" # c\n",
        "environment:\r\n  GONE: x\r\n  B: 2\r\n",
        "environment:\n  GONE: 'a\n    b'\n  B: 2\n",
        "environment:\n  GONE:\n  B: 2\n",
        "environment: {GONE, B: 2}\n",
        "secrets:\n  GONE:\n    file: x\n\n# next\nb: 1\n",
        "x: &v {A: 1}\nenvironment:\n  GONE: &p x\n  B: *p\n",
    ];
    let out: Vec<String> = all
        .iter()
        .map(|it| format!("{}---\n", edited(it).replace('\r', "\\r")))
        .collect();
    expect![[r#"
        environment:
          A: 1
          B: 2
        ---
          # one
          # two
        b: 1
        ---
        a:
          environment:

            B: 2
        ---
        environment: &e {}
        b: *e
        ---
        b: 1
        ---
        a: {b: 1}
        ---
        a: {b: 1}
        ---
        x: &e {}
        b: *e
        ---
        x: {A: 1}
        ---
        x: {A: 1, B: 2}
        ---
        x: {
          A: 1,
        }
        ---
        x: [A=1]
        ---
        x:
        - A=1
        ---
        the edit would have changed more than it should
        ---
        x: { <<: {A: 1} }
        ---
        x: &a {A: 1}
        environment:
          <<: *a
        ---
        OLD_FILE: /run/x # c
        b: 1
        ---
        x: { OLD_FILE: /run/x, b: 1 }
        y: ["OLD_FILE=/run/x", A=2]
        z:
        - "OLD_FILE=/run/x" # c
        ---
        environment:\r
          B: 2\r
        ---
        environment:
          B: 2
        ---
        environment:
          B: 2
        ---
        environment: {B: 2}
        ---

        # next
        b: 1
        ---
        line 3 is written in a way that is not edited automatically
        ---
    "#]]
    .assert_eq(&out.concat());
}
