//! The formats for programs.

use expect_test::expect;

use super::*;

const TEXT: &str = "name: p
x-locket:
  secrets: { db_password: local:db }
services:
  \"a,b: 50%\":
    environment: { TOKEN: c4n4ry, OTHER: x } # ü
    x-locket: [db_pasword, db_password]
";

fn found() -> Found {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("compose.yaml"), TEXT).unwrap();
    let mut found = examined(dir.path());
    found.problems.retain(|it| !LACKS.contains(&it.code));
    found
}

#[test]
fn annotations_are_one_line_each_and_escaped() {
    expect![[r#"
        ::warning file=compose.yaml,line=6,col=27,endColumn=33,title=L045 plain-secret::the value of `TOKEN` in service a,b: 50%25 looks like a secret, by its name, and whoever can read this file has it%0Ahelp: `docker locket init --import` moves it into the store; if it is no secret, say so: `# locket: allow L045`
        ::error file=compose.yaml,line=7,col=16,endColumn=26,title=L020 unknown-name::the catalogue has no secret `db_pasword`%0Ahelp: did you mean `db_password`?
    "#]].assert_eq(&render_github(&found().problems));
}

#[test]
fn json_says_everything() {
    let found = found();
    expect![[r#"
        {
          "version": 1,
          "errors": 1,
          "warnings": 1,
          "problems": [
            {
              "code": "L045",
              "name": "plain-secret",
              "severity": "warning",
              "message": "the value of `TOKEN` in service a,b: 50% looks like a secret, by its name, and whoever can read this file has it",
              "file": "compose.yaml",
              "line": 6,
              "column": 27,
              "width": 6,
              "snippet": "    environment: { TOKEN: ******, OTHER: x } # ü",
              "help": "`docker locket init --import` moves it into the store; if it is no secret, say so: `# locket: allow L045`"
            },
            {
              "code": "L020",
              "name": "unknown-name",
              "severity": "error",
              "message": "the catalogue has no secret `db_pasword`",
              "file": "compose.yaml",
              "line": 7,
              "column": 16,
              "width": 10,
              "snippet": "    x-locket: [db_pasword, db_password]",
              "help": "did you mean `db_password`?"
            }
          ]
        }
    "#]].assert_eq(&render_json(&found.problems, &found.loaded.sources));
}

#[test]
fn sarif_has_rules_and_places() {
    let found = found();
    let text = render_sarif(&found.problems, &found.loaded.sources, "1.2.3");
    let log: serde_json::Value = serde_json::from_str(&text).unwrap();
    let run = &log["runs"][0];
    assert_eq!(
        run["tool"]["driver"]["rules"].as_array().unwrap().len(),
        Code::ALL.len()
    );
    expect![[r#"
        [
          {
            "level": "warning",
            "locations": [
              {
                "physicalLocation": {
                  "artifactLocation": {
                    "uri": "compose.yaml"
                  },
                  "region": {
                    "endColumn": 33,
                    "snippet": {
                      "text": "    environment: { TOKEN: ******, OTHER: x } # ü"
                    },
                    "startColumn": 27,
                    "startLine": 6
                  }
                }
              }
            ],
            "message": {
              "text": "the value of `TOKEN` in service a,b: 50% looks like a secret, by its name, and whoever can read this file has it; `docker locket init --import` moves it into the store; if it is no secret, say so: `# locket: allow L045`"
            },
            "ruleId": "L045",
            "ruleIndex": 33
          },
          {
            "level": "error",
            "locations": [
              {
                "physicalLocation": {
                  "artifactLocation": {
                    "uri": "compose.yaml"
                  },
                  "region": {
                    "endColumn": 26,
                    "snippet": {
                      "text": "    x-locket: [db_pasword, db_password]"
                    },
                    "startColumn": 16,
                    "startLine": 7
                  }
                }
              }
            ],
            "message": {
              "text": "the catalogue has no secret `db_pasword`; did you mean `db_password`?"
            },
            "ruleId": "L020",
            "ruleIndex": 14
          }
        ]"#]].assert_eq(&serde_json::to_string_pretty(&run["results"]).unwrap());
    for it in run["results"].as_array().unwrap() {
        let rule = &run["tool"]["driver"]["rules"][it["ruleIndex"].as_u64().unwrap() as usize];
        assert_eq!(rule["id"], it["ruleId"]);
        assert!(!rule["help"]["text"].as_str().unwrap().is_empty());
    }
}
