//! Emits `write`, which encodes one struct.

use crate::emit_decode::{flexible, parameter};
use crate::emit_struct::is_default;
use crate::model::{Condition, Field, Struct, Type};

pub(crate) fn emit(out: &mut String, this: &Struct) {
    let mut body = String::new();
    for field in this.fields.iter().filter(|field| field.tag.is_none()) {
        let write = format!("{};\n", write(this, field));
        let absent = absent(this, field);
        match field.versions.condition(this.within) {
            Condition::Always => body.push_str(&write),
            Condition::Never => body.push_str(&absent),
            Condition::If(condition) if absent.is_empty() => {
                emit!(body, "if {condition} {{ {write} }}");
            }
            Condition::If(condition) => {
                emit!(body, "if {condition} {{ {write} }} else {{ {absent} }}");
            }
        }
    }
    tags(&mut body, this);
    emit!(
        out,
        "pub(crate) fn write(&self, {}: &mut Writer, {}: i16) -> Result<(), EncodeError> {{\n{body}Ok(())\n}}",
        parameter("writer", &body),
        parameter("version", &body),
    );
}

/// A field that the version lacks must be at its default, unless it may be ignored.
fn absent(this: &Struct, field: &Field) -> String {
    match field.ignorable {
        true => String::new(),
        false => unless_default(&is_default(field), this, field),
    }
}

fn unless_default(condition: &str, this: &Struct, field: &Field) -> String {
    format!(
        "EncodeError::unless_default({condition}, \"{}.{}\", version)?;\n",
        this.name, field.name
    )
}

fn tags(body: &mut String, this: &Struct) {
    let flexible = this.flexible.condition(this.within);
    let mut tagged: Vec<&Field> = this.fields.iter().filter(|field| field.tag.is_some()).collect();
    tagged.sort_by_key(|field| field.tag);
    for field in &tagged {
        if let (Condition::If(condition), false) = (field.versions.condition(this.within), field.ignorable) {
            emit!(
                body,
                "{}",
                unless_default(&format!("{condition} || {}", is_default(field)), this, field)
            );
        }
    }
    let section = match tagged.is_empty() {
        true => "writer.no_tagged_fields();\n".to_owned(),
        false => present_tags(this, &tagged),
    };
    match flexible {
        Condition::Always => body.push_str(&section),
        Condition::Never => {}
        Condition::If(condition) => emit!(body, "if {condition} {{ {section} }}"),
    }
}

fn present_tags(this: &Struct, tagged: &[&Field]) -> String {
    let within = this.within.intersect(this.flexible);
    let mut names = Vec::new();
    let (mut flags, mut writes) = (String::new(), String::new());
    for field in tagged {
        let tag = field.tag.unwrap_or_default();
        let set = match field.versions.condition(within) {
            Condition::Always => String::new(),
            Condition::Never => continue,
            Condition::If(condition) => format!("{condition} && "),
        };
        names.push(format!("tag_{tag}"));
        emit!(
            flags,
            "let default_{tag} = {};\nlet tag_{tag} = {set}!default_{tag};",
            is_default(field)
        );
        let inner = write(this, field);
        let inner = if inner.ends_with('?') {
            inner.trim_end_matches('?').to_owned()
        } else {
            format!("{{ {inner}; Ok(()) }}")
        };
        emit!(
            writes,
            "if tag_{tag} {{ writer.tagged_field({tag}, |writer| {inner})?; }}"
        );
    }
    format!(
        "{flags} writer.tagged_fields_count(&[{}]);\n{writes}",
        names.join(", ")
    )
}

fn write(this: &Struct, field: &Field) -> String {
    let within = this.within.intersect(field.versions);
    let name = format!("\"{}.{}\"", this.name, field.name);
    let value = format!("self.{}", field.ident());
    let flexible = flexible(this, field, within);
    let nullable = field.null_versions.condition(within);
    let nullable = if field.ty == Type::Records {
        "true"
    } else {
        nullable.expression()
    };
    match (&field.ty, field.is_nullable()) {
        (Type::String, false) => format!("writer.string(&{value}, {flexible}, {name})?"),
        (Type::String, true) => {
            format!("writer.nullable_string({value}.as_deref(), {flexible}, {nullable}, {name})?")
        }
        (Type::Bytes | Type::Records, false) => format!("writer.bytes(&{value}, {flexible}, {name})?"),
        (Type::Bytes | Type::Records, true) => {
            format!("writer.nullable_bytes({value}.as_ref(), {flexible}, {nullable}, {name})?")
        }
        (Type::Struct(_), false) => format!("{value}.write(writer, version)?"),
        (Type::Struct(_), true) => format!(
            "writer.{}({value}.as_ref(), {nullable}, {name}, |writer, it| it.write(writer, version))?",
            if field.tag.is_some() {
                "nullable_tagged_struct"
            } else {
                "nullable_struct"
            }
        ),
        (Type::Array(element), is_nullable) => {
            let one = match &**element {
                Type::String => format!("|writer, it| writer.string(it, {flexible}, {name})"),
                Type::Struct(_) => "|writer, it| it.write(writer, version)".to_owned(),
                fixed => match fixed.fixed_method() {
                    Some(method) => format!("|writer, it| {{ writer.{method}(*it); Ok(()) }}"),
                    None => panic!("no arrays of {fixed:?}"),
                },
            };
            match is_nullable {
                true => format!(
                    "writer.nullable_array({value}.as_deref(), {flexible}, {nullable}, {name}, {one})?"
                ),
                false => format!("writer.array(&{value}, {flexible}, {name}, {one})?"),
            }
        }
        (fixed, _) => format!("writer.{}({value})", fixed.fixed_method().expect("a fixed type")),
    }
}
