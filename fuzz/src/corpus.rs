//! Inputs in files: one a line, in hexadecimal. `corpus/TARGET.hex` is part of the project: inputs that together pass every
//! edge that was passed when it was written. What found something is a test at what was wrong.

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The file of a target's kept inputs.
pub fn kept(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(format!("{target}.hex"))
}

/// The inputs in a file; none if there is no such file.
pub fn read(path: &Path) -> Vec<Vec<u8>> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(decode).collect()
}

/// Writes inputs to a file.
pub fn write(path: &Path, inputs: &[Vec<u8>]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut text = String::new();
    for input in inputs {
        text.push_str(&encode(input));
        text.push('\n');
    }
    std::fs::write(path, text)
}

/// An input as a line.
pub fn encode(input: &[u8]) -> String {
    input.iter().fold(String::new(), |mut line, byte| {
        let _ = write!(line, "{byte:02x}");
        line
    })
}

/// A line as an input; none if it is not hexadecimal.
pub fn decode(line: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = line
        .trim()
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    Some(
        digits
            .chunks_exact(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect(),
    )
}
