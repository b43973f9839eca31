//! Help, completions, the manual.

use crate::program::Program;

#[test]
fn help_names_the_exit_codes_and_where_the_config_comes_from() {
    let ran = Program::new().run(&["--help"]);
    assert_eq!(ran.code, 0);
    insta::assert_snapshot!(ran.out);
    insta::assert_snapshot!(Program::new().run(&["ask", "--help"]).out);
}

#[test]
fn each_shell_has_completions() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ran = Program::new().run(&["completions", shell]);
        assert!(ran.code == 0 && ran.out.contains("polysight") && ran.out.contains("emulate"), "{shell}");
    }
    assert_eq!(Program::new().run(&["completions", "cmd"]).code, 2);
}

#[test]
fn the_manual_is_one_page_or_one_a_command() {
    let ran = Program::new().run(&["man"]);
    assert!(ran.code == 0 && ran.out.contains(".TH polysight 1"), "{ran:?}");
    let program = Program::new();
    assert_eq!(program.run(&["man", "--dir", "pages"]).code, 0);
    for page in ["polysight.1", "polysight-ask.1", "polysight-serve.1"] {
        assert!(program.path("pages").join(page).exists(), "{page}");
    }
}

#[test]
fn no_colours_go_into_a_pipe() {
    let program = Program::new();
    for arguments in
        [&["ask", "none.jpg", "--emulator"][..], &["ask", "-p", "Hi", "-r", "zhipu,qwen", "--emulator"]]
    {
        let ran = program.run(arguments);
        assert!(!ran.out.contains('\u{1b}') && !ran.err.contains('\u{1b}'), "{ran:?}");
    }
}
