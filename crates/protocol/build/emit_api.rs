//! Emits `ApiKey`, the bodies that gather all requests and responses, and `ErrorCode`.

use crate::model::{Api, ErrorRow, Message, camel_case};

pub(crate) fn api_key(apis: &[Api], supported: &[&Api]) -> String {
    let mut out = String::from(
        "/// The APIs of Kafka 4.3.1, by their number on the wire.\n\
         #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]\n#[repr(i16)]\npub enum ApiKey {\n",
    );
    for api in apis {
        emit!(out, "/// {}.\n{} = {},", api.name, api.name, api.key);
    }
    out.push_str("}\n");
    emit!(out, "static ROWS: [ApiRow; {}] = [", apis.len());
    for api in apis {
        let served = match api.served {
            Some(range) => format!("Some(VersionRange {{ min: {}, max: {} }})", range.min, range.max),
            None => "None".into(),
        };
        let message = match supported.iter().any(|it| it.key == api.key) {
            true => format!(
                "Some(VersionRange {{ min: messages::{0}Request::MIN_VERSION, max: messages::{0}Request::MAX_VERSION }})",
                api.name
            ),
            false => "None".into(),
        };
        emit!(
            out,
            "ApiRow {{ key: ApiKey::{0}, name: \"{0}\", served: {served}, message: {message}, latest_unstable: {1}, first_flexible: {2} }},",
            api.name,
            api.latest_unstable,
            api.first_flexible
                .map_or("i16::MAX".into(), |version| version.to_string()),
        );
    }
    out.push_str("];\n");
    out
}

/// `RequestBody` or `ResponseBody`; `kind` is `Request` or `Response`.
pub(crate) fn body(kind: &str, supported: &[&Api]) -> String {
    let mut out = String::new();
    emit!(
        out,
        "/// A {} of any API of this crate.\n#[derive(Debug, Clone, PartialEq, Eq)]\n#[non_exhaustive]\npub enum {kind}Body {{",
        kind.to_lowercase()
    );
    let (mut keys, mut reads, mut writes, mut conversions) =
        (String::new(), String::new(), String::new(), String::new());
    for Api { name, .. } in supported {
        emit!(
            out,
            "/// [`messages::{name}{kind}`].\n{name}(Box<messages::{name}{kind}>),"
        );
        emit!(keys, "Self::{name}(_) => ApiKey::{name},");
        emit!(
            reads,
            "ApiKey::{name} => Message::decode(reader, version).map(Box::new).map(Self::{name}),"
        );
        emit!(writes, "Self::{name}(it) => it.write_to(writer, version),");
        emit!(conversions, "conversions!({kind}Body, {name}, {name}{kind});");
        if kind == "Request" {
            emit!(
                conversions,
                "impl Request for messages::{name}Request {{ const KEY: ApiKey = ApiKey::{name}; type Response = messages::{name}Response; }}"
            );
        }
    }
    emit!(
        out,
        "}}\nimpl {kind}Body {{\n\
         /// The API that the body belongs to.\npub fn api_key(&self) -> ApiKey {{ match self {{ {keys} }} }}\n\
         /// Decodes a body without its header; a version or API that this crate does not have is an error.\n\
         pub fn decode(key: ApiKey, version: i16, reader: &mut Reader) -> Result<Self, DecodeError> {{\n\
         match key {{ {reads} _ => Err(reader.error(key.name(), Reason::UnsupportedApi)) }} }}\n\
         /// Encodes the body without a header.\n\
         pub fn write_to(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError> {{ match self {{ {writes} }} }}\n\
         /// Appends the body without a header to `out`, which is left as it was on error.\n\
         pub fn encode(&self, version: i16, out: &mut BytesMut) -> Result<(), EncodeError> {{ append(out, |writer| self.write_to(writer, version)) }}\n\
         }}\n{conversions}"
    );
    out
}

pub(crate) fn error_code(rows: &[ErrorRow]) -> String {
    let mut out = String::from(
        "/// Kafka's error codes.\n\
         #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]\n#[non_exhaustive]\npub enum ErrorCode {\n",
    );
    for row in rows {
        let default = if row.code == 0 { "#[default]\n" } else { "" };
        emit!(
            out,
            "/// `{}` ({}).\n{default}{},",
            row.name,
            row.code,
            camel_case(&row.name)
        );
    }
    out.push_str("/// A code that Kafka 4.3.1 does not have.\nUnknown(i16),\n}\nimpl ErrorCode {\n");
    let arms = |value: &dyn Fn(&ErrorRow) -> String| -> String { rows.iter().map(value).collect() };
    let name = |row: &ErrorRow| camel_case(&row.name);
    let matches = |wanted: &dyn Fn(&ErrorRow) -> bool| -> String {
        let names: Vec<String> = rows
            .iter()
            .filter(|row| wanted(row))
            .map(|row| format!("Self::{}", name(row)))
            .collect();
        format!("matches!(self, {})", names.join(" | "))
    };
    emit!(
        out,
        "/// Every code that Kafka 4.3.1 has, by number.\npub const ALL: [Self; {}] = [{}];",
        rows.len(),
        arms(&|row| format!("Self::{}, ", name(row)))
    );
    emit!(
        out,
        "/// The number on the wire.\npub const fn code(self) -> i16 {{ match self {{ {} Self::Unknown(code) => code }} }}",
        arms(&|row| format!("Self::{} => {},\n", name(row), row.code))
    );
    emit!(
        out,
        "/// The error with this number on the wire.\npub const fn from_code(code: i16) -> Self {{ match code {{ {} _ => Self::Unknown(code) }} }}",
        arms(&|row| format!("{} => Self::{},\n", row.code, name(row)))
    );
    emit!(
        out,
        "/// Kafka's name of the error; none for a code that it does not have.\npub const fn name(self) -> Option<&'static str> {{ Some(match self {{ {} Self::Unknown(_) => return None }}) }}",
        arms(&|row| format!("Self::{} => \"{}\",\n", name(row), row.name))
    );
    for (method, doc, wanted) in [
        (
            "is_retriable",
            "Whether the same request may succeed later (Java's `RetriableException`).",
            &(|row: &ErrorRow| row.retriable) as &dyn Fn(&ErrorRow) -> bool,
        ),
        (
            "refreshes_metadata",
            "Whether the client's metadata is stale (Java's `InvalidMetadataException`).",
            &|row| row.refreshes_metadata,
        ),
        (
            "refreshes_coordinator",
            "Whether the coordinator must be looked up again.",
            &|row| row.refreshes_coordinator,
        ),
    ] {
        emit!(
            out,
            "/// {doc}\npub const fn {method}(self) -> bool {{ {} }}",
            matches(wanted)
        );
    }
    out.push_str("}\n");
    out
}

/// The enum of all record keys of `__consumer_offsets`.
pub(crate) fn record_key(records: &[(i16, String, Message, Message)]) -> String {
    let mut out = String::from(
        "/// The key of a record of `__consumer_offsets`; says which message its value is.\n\
         #[derive(Debug, Clone, PartialEq, Eq)]\n#[non_exhaustive]\npub enum GroupRecordKey {\n",
    );
    let (mut types, mut reads, mut writes) = (String::new(), String::new(), String::new());
    for (number, name, ..) in records {
        emit!(
            out,
            "/// Type {number}; the value is a [`{name}Value`].\n{name}({name}Key),"
        );
        emit!(types, "Self::{name}(_) => {number},");
        emit!(reads, "{number} => Self::{name}({name}Key::decode(reader, 0)?),");
        emit!(writes, "Self::{name}(key) => key.write_to(writer, 0),");
    }
    emit!(
        out,
        "}}\nimpl GroupRecordKey {{\n\
         /// The number that the key begins with.\npub fn record_type(&self) -> i16 {{ match self {{ {types} }} }}\n\
         fn read_of_type(record_type: i16, reader: &mut Reader) -> Result<Option<Self>, DecodeError> {{\n\
         Ok(Some(match record_type {{ {reads} _ => return Ok(None) }})) }}\n\
         fn write_to(&self, writer: &mut Writer) -> Result<(), EncodeError> {{ match self {{ {writes} }} }}\n}}"
    );
    out
}
