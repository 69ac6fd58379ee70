//! How records are declared: once, in Rust, with their docs; schema and codec follow. Nothing here knows any particular record.

use serde_json::{Value as Json, json};

/// Declares a struct that is an Avro record: fields in this order, doc comments as Avro docs. A field that is added after a release
/// stands last and says what it is in older records: `pub shift: i64 = 0,`.
#[macro_export]
macro_rules! avro_record {
    ($(#[doc = $doc:literal])* $(#[derive($($derive:ident),*)])? pub struct $name:ident {
        $($(#[doc = $field_doc:literal])* pub $field:ident : $type:ty $(= $default:tt)?,)*
    }) => {
        $(#[doc = $doc])*
        #[derive(Clone, PartialEq, Eq, Debug, serde::Serialize $($(, $derive)*)?)]
        pub struct $name {
            $($(#[doc = $field_doc])* pub $field: $type,)*
        }

        impl $crate::wire::Wire for $name {
            #[allow(unused_variables)]
            fn encode(&self, out: &mut Vec<u8>) {
                $($crate::wire::Wire::encode(&self.$field, out);)*
            }
            #[allow(unused_variables)]
            fn decode(input: &mut $crate::wire::Reader<'_>) -> Result<Self, $crate::wire::WireError> {
                Ok(Self { $($field: $crate::wire::Wire::decode(input)?,)* })
            }
        }

        impl $crate::wire::AvroType for $name {
            fn schema(named: &mut $crate::wire::Named) -> serde_json::Value {
                named.once(concat!("sagaline.", stringify!($name)), |_named| {
                    let fields: Vec<serde_json::Value> = vec![$($crate::declare::field(
                        stringify!($field),
                        <$type as $crate::wire::AvroType>::schema(_named),
                        &[$($field_doc),*],
                        [$(serde_json::json!($default))?],
                    ),)*];
                    serde_json::json!({
                        "type": "record", "name": stringify!($name), "namespace": "sagaline",
                        "doc": $crate::declare::doc(&[$($doc),*]), "fields": fields,
                    })
                })
            }
        }
    };
}

/// Declares an enum that is an Avro union of records: branches in this order.
#[macro_export]
macro_rules! avro_union {
    ($(#[doc = $doc:literal])* pub enum $name:ident { $($(#[doc = $variant_doc:literal])* $variant:ident($type:ty),)* }) => {
        $(#[doc = $doc])*
        #[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($(#[doc = $variant_doc])* $variant($type),)*
        }

        impl $crate::wire::Wire for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                let mut _branch = 0;
                $(
                    if let Self::$variant(body) = self {
                        $crate::wire::put_long(out, _branch);
                        return $crate::wire::Wire::encode(body, out);
                    }
                    _branch += 1;
                )*
            }
            fn decode(input: &mut $crate::wire::Reader<'_>) -> Result<Self, $crate::wire::WireError> {
                let branches = [$(stringify!($variant)),*];
                let branch = input.branch(branches.len())?;
                let mut _at = 0;
                $(
                    if branch == _at {
                        return $crate::wire::Wire::decode(input).map(Self::$variant);
                    }
                    _at += 1;
                )*
                Err($crate::wire::WireError::Range { what: "a union's branch" })
            }
        }

        impl $crate::wire::AvroType for $name {
            fn schema(named: &mut $crate::wire::Named) -> serde_json::Value {
                serde_json::Value::Array(vec![$(<$type as $crate::wire::AvroType>::schema(named)),*])
            }
        }
    };
}

/// Declares an enum that is an Avro enum: symbols in this order.
#[macro_export]
macro_rules! avro_enum {
    ($(#[doc = $doc:literal])* pub enum $name:ident { $($(#[doc = $symbol_doc:literal])* $symbol:ident,)* }) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($(#[doc = $symbol_doc])* $symbol,)*
        }

        impl $name {
            /// Every symbol, in the order of the schema.
            pub const ALL: &'static [Self] = &[$(Self::$symbol),*];
        }

        impl $crate::wire::Wire for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                $crate::wire::put_long(out, *self as i64);
            }
            fn decode(input: &mut $crate::wire::Reader<'_>) -> Result<Self, $crate::wire::WireError> {
                Ok(Self::ALL[input.branch(Self::ALL.len())?])
            }
        }

        impl $crate::wire::AvroType for $name {
            fn schema(named: &mut $crate::wire::Named) -> serde_json::Value {
                named.once(concat!("sagaline.", stringify!($name)), |_| {
                    serde_json::json!({
                        "type": "enum", "name": stringify!($name), "namespace": "sagaline",
                        "doc": $crate::declare::doc(&[$($doc),*]), "symbols": [$(stringify!($symbol)),*],
                    })
                })
            }
        }
    };
}

/// A field's schema. `r#if` is `if` in Avro.
pub fn field<const DEFAULTS: usize>(ident: &str, schema: Json, lines: &[&str], default: [Json; DEFAULTS]) -> Json {
    let name = ident.strip_prefix("r#").unwrap_or(ident);
    let mut field = json!({"name": name, "type": schema, "doc": doc(lines)});
    for default in default {
        field["default"] = default;
    }
    field
}

/// Doc comment lines as one Avro doc.
pub fn doc(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}
