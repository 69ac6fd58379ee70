//! Declares types that only the fold itself reads back: a binary form without a schema. They may change with every version of the
//! store's format, because the store is rebuilt from the log; nothing declared here may lie in a topic.

/// Declares a struct with a binary form: its fields in order.
#[macro_export]
macro_rules! wire_struct {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* pub $field:ident : $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl $crate::wire::Wire for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                $($crate::wire::Wire::encode(&self.$field, out);)*
            }
            fn decode(input: &mut $crate::wire::Reader<'_>) -> Result<Self, $crate::wire::WireError> {
                Ok(Self { $($field: $crate::wire::Wire::decode(input)?,)* })
            }
        }
    };
}

/// Declares an enum with a binary form: the variant's number, then its fields in order.
#[macro_export]
macro_rules! wire_enum {
    ($(#[$meta:meta])* pub enum $name:ident {
        $($(#[$variant_meta:meta])* $variant:ident $({ $($(#[$field_meta:meta])* $field:ident : $type:ty,)* })?,)*
    }) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($(#[$variant_meta])* $variant $({ $($(#[$field_meta])* $field: $type,)* })?,)*
        }

        impl $crate::wire::Wire for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                enum Tag { $($variant,)* }
                match self {
                    $(Self::$variant $({ $($field,)* })? => {
                        $crate::wire::put_long(out, Tag::$variant as i64);
                        $($($crate::wire::Wire::encode($field, out);)*)?
                    })*
                }
            }
            fn decode(input: &mut $crate::wire::Reader<'_>) -> Result<Self, $crate::wire::WireError> {
                enum Tag { $($variant,)* }
                let tag = input.long()?;
                $(if tag == Tag::$variant as i64 {
                    return Ok(Self::$variant $({ $($field: $crate::wire::Wire::decode(input)?,)* })?);
                })*
                Err($crate::wire::WireError::Range { what: "a variant" })
            }
        }
    };
}
