//! The `pacao` binary under test.

use std::path::PathBuf;
use std::process::Command;

/// Where the binary is: `PACAO_BIN`, or beside this test in the target directory (release first).
pub fn binary() -> anyhow::Result<PathBuf> {
    if let Some(given) = std::env::var_os("PACAO_BIN") {
        return Ok(PathBuf::from(given));
    }
    let here = std::env::current_exe()?;
    let target = here
        .ancestors()
        .find(|dir| dir.join("CACHEDIR.TAG").exists())
        .ok_or_else(|| anyhow::anyhow!("no target directory above {}; set PACAO_BIN", here.display()))?;
    ["release", "debug"]
        .iter()
        .map(|profile| target.join(profile).join("pacao"))
        .find(|path| path.exists())
        .ok_or_else(|| {
            anyhow::anyhow!(
                "no pacao binary under {}: run `cargo build --release -p pacao`",
                target.display()
            )
        })
}

/// `pacao ARGS...`, not yet started.
pub fn pacao<const N: usize>(args: [&str; N]) -> anyhow::Result<Command> {
    let mut command = Command::new(binary()?);
    command.args(args);
    Ok(command)
}
