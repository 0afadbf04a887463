//! Emits a module with a message, or the two of an API, and the `Message` implementations.

use crate::model::{Kind, Message, Struct, Versions};
use crate::{emit_decode, emit_encode, emit_struct};

/// One module with all structs of `messages`; a struct that request and response write alike appears once.
pub(crate) fn emit_module(out: &mut String, name: &str, doc: &str, messages: &[&Message]) {
    emit!(
        out,
        "/// {doc}\npub mod {name} {{\nuse crate::wire::prelude::*;\n"
    );
    let mut known: Vec<&Struct> = Vec::new();
    for message in messages {
        for (i, this) in message.structs.iter().enumerate() {
            if let Some(other) = known.iter().find(|other| other.name == this.name) {
                assert!(*other == this, "{} has two forms in module {name}", this.name);
                continue;
            }
            known.push(this);
            emit_struct::emit(out, this, &doc_of(message, i));
            emit!(out, "impl {} {{", this.name);
            emit_decode::emit(out, this, &message.structs);
            emit_encode::emit(out, this);
            out.push_str("}\n");
        }
        emit_trait(out, message.top());
    }
    out.push_str("}\n");
    let tops: Vec<&str> = messages
        .iter()
        .map(|message| message.top().name.as_str())
        .collect();
    emit!(out, "pub use self::{name}::{{{}}};", tops.join(", "));
}

fn doc_of(message: &Message, index: usize) -> String {
    let top = message.top();
    if index > 0 {
        return format!("`{}` of `{}`.", message.structs[index].name, top.name);
    }
    let kind = match message.kind {
        Kind::Request => "Request",
        Kind::Response => "Response",
        Kind::Header => "Header",
        Kind::Data => "Data message",
    };
    format!(
        "{kind} `{}`, versions {}, flexible {}.",
        top.name,
        top.within.describe(),
        describe(top.flexible)
    )
}

fn describe(flexible: Versions) -> String {
    if flexible.is_empty() {
        "never".into()
    } else {
        format!("from {}", flexible.describe())
    }
}

fn emit_trait(out: &mut String, top: &Struct) {
    emit!(
        out,
        "impl Message for {name} {{\n\
         const NAME: &'static str = \"{name}\";\n\
         const MIN_VERSION: i16 = {min};\n\
         const MAX_VERSION: i16 = {max};\n\
         fn write_fields(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError> {{ self.write(writer, version) }}\n\
         fn read_fields(reader: &mut Reader, version: i16) -> Result<Self, DecodeError> {{ Self::read(reader, version) }}\n\
         }}",
        name = top.name,
        min = top.within.min,
        max = top.within.max,
    );
}
