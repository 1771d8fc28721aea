//! `mindseye completions` and `mindseye man`: what a shell and `man` know of the program.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, Command};
use clap_complete::Shell;
use mindseye_interface::files;

use crate::streams::say;

/// Print the completion script of a shell on stdout.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    mindseye completions bash > ~/.local/share/bash-completion/completions/mindseye\n  \
    mindseye completions zsh > ~/.zfunc/_mindseye\n  \
    mindseye completions fish > ~/.config/fish/completions/mindseye.fish")]
pub struct CompletionsArguments {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Print the manual page on stdout, or write one page for each verb into a folder.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    mindseye man | man -l -\n  \
    mindseye man --out ~/.local/share/man/man1")]
pub struct ManArguments {
    /// Folder for mindseye.1, mindseye-demo.1 and the others.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Prints the completion script for `program`.
///
/// # Errors
/// When stdout is closed.
pub fn completions(arguments: &CompletionsArguments, mut program: Command) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut program, "mindseye", &mut script);
    print(&script)
}

/// Prints or writes the manual of `program`.
///
/// # Errors
/// When a page cannot be written.
pub fn man(arguments: &ManArguments, program: Command) -> Result<()> {
    let Some(folder) = &arguments.out else { return print(&page(program)?) };
    let mut program = program.disable_help_subcommand(true);
    program.build();
    write_pages(folder, &program, "mindseye")
}

/// Writes the page of `command`, called `name`, and those of its subcommands.
fn write_pages(folder: &Path, command: &Command, name: &str) -> Result<()> {
    // clap keeps names for as long as the program runs; a manual has few.
    let leaked: &'static str = Box::leak(name.to_owned().into_boxed_str());
    let path = folder.join(format!("{name}.1"));
    let written = files::write_whole_with_folders(&path, &page(command.clone().name(leaked))?);
    written.with_context(|| format!("{}: writing", path.display()))?;
    for subcommand in command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
        write_pages(folder, subcommand, &format!("{name}-{}", subcommand.get_name()))?;
    }
    Ok(())
}

fn page(command: Command) -> Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page).context("manual page")?;
    Ok(page)
}

fn print(bytes: &[u8]) -> Result<()> {
    say!("{}", String::from_utf8_lossy(bytes).trim_end());
    Ok(())
}
