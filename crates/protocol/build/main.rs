//! Turns the tables in `tables/` into Rust, in `$OUT_DIR`. No dependency beyond std.

/// Appends a line to a string.
macro_rules! emit {
    ($out:expr, $($line:tt)+) => {{
        $out.push_str(&format!($($line)+));
        $out.push('\n');
    }};
}

mod emit_api;
mod emit_decode;
mod emit_encode;
mod emit_message;
mod emit_struct;
mod model;
mod table;

use std::path::Path;
use std::{env, fs};

use model::{Api, Kind, Message, snake_case};

#[allow(clippy::print_stdout, reason = "it is how a build script talks to cargo")]
fn main() {
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed=tables");
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let table = |name: &str| {
        let path = Path::new(&root).join("tables").join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let messages = table::messages(&table("messages.tsv"));
    let apis = table::apis(&table("api-versions.tsv"));
    let of_kind = |kind: Kind| messages.iter().filter(move |message| message.kind == kind);
    let supported: Vec<&Api> = apis
        .iter()
        .filter(|api| of_kind(Kind::Request).any(|it| it.api_key == Some(api.key)))
        .collect();

    write("messages.rs", messages_file(&messages, &supported));
    write("api_key.rs", emit_api::api_key(&apis, &supported));
    write(
        "body.rs",
        emit_api::body("Request", &supported) + &emit_api::body("Response", &supported),
    );
    write(
        "error_code.rs",
        emit_api::error_code(&table::errors(&table("errors.tsv"))),
    );
    write("consumer_protocol.rs", single_file(of_kind(Kind::Data)));
    write(
        "group_records.rs",
        group_records_file(&table("group-records.tsv")),
    );
}

fn write(name: &str, text: String) {
    let path = Path::new(&env::var("OUT_DIR").expect("cargo sets it")).join(name);
    fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

fn messages_file(messages: &[Message], supported: &[&Api]) -> String {
    let mut out = String::new();
    for api in supported {
        let both: Vec<&Message> = messages
            .iter()
            .filter(|message| message.api_key == Some(api.key))
            .collect();
        let doc = format!("The messages of the API `{}` ({}).", api.name, api.key);
        emit_message::emit_module(&mut out, &snake_case(&api.name), &doc, &both);
    }
    let headers: Vec<&Message> = messages
        .iter()
        .filter(|message| message.kind == Kind::Header)
        .collect();
    emit_message::emit_module(
        &mut out,
        "header",
        "The headers before each request and response.",
        &headers,
    );
    out
}

fn single_file<'a>(messages: impl Iterator<Item = &'a Message>) -> String {
    let mut out = String::new();
    for message in messages {
        let name = &message.top().name;
        emit_message::emit_module(&mut out, &snake_case(name), &format!("`{name}`."), &[message]);
    }
    out
}

fn group_records_file(text: &str) -> String {
    let mut out = String::new();
    let records = table::group_records(text);
    for (number, name, key, value) in &records {
        let doc = format!("Key and value of the record `{name}`, type {number}.");
        emit_message::emit_module(&mut out, &snake_case(name), &doc, &[key, value]);
    }
    out += &emit_api::record_key(&records);
    out
}
