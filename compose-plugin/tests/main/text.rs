//! What the command line says: help and errors. `TRYCMD=overwrite` writes the files anew.

#[test]
fn help_and_errors_are_as_written() {
    let dir = tempfile::tempdir().unwrap();
    trycmd::TestCases::new()
        .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
        .env("DOCKER_CONFIG", dir.path().display().to_string())
        .env("NO_COLOR", "1")
        .env("LOCKET_SOCKET", "/nowhere/controller.sock")
        .case("tests/cli/*.md")
        .run();
}
