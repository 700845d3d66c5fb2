//! The messages of an event file, as far as panal writes them: TensorBoard's `tensorboard/compat/proto/event.proto` and
//! `summary.proto` (package `tensorboard`, syntax proto3), with their field numbers. Framing them is in `record`.

use prost::{Enumeration, Message, Oneof};

/// The version that the first event of a file states; `event.proto`, comment at `file_version`.
pub(crate) const FILE_VERSION: &str = "brain.Event:2";

/// `Event`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    pub(crate) wall_time: f64,
    #[prost(int64, tag = "2")]
    pub(crate) step: i64,
    #[prost(oneof = "What", tags = "3, 5, 7")]
    pub(crate) what: Option<What>,
    #[prost(message, optional, tag = "10")]
    pub(crate) source_metadata: Option<SourceMetadata>,
}

/// `Event.what`; 4, 6, 8 and 9 (graphs, log messages, run metadata) are never written.
#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum What {
    #[prost(string, tag = "3")]
    FileVersion(String),
    #[prost(message, tag = "5")]
    Summary(Summary),
    #[prost(message, tag = "7")]
    SessionLog(SessionLog),
}

/// `SourceMetadata`: who wrote the file.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SourceMetadata {
    #[prost(string, tag = "1")]
    pub(crate) writer: String,
}

/// `SessionLog`; 2 and 3 (a checkpoint's path, a message) are never written.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SessionLog {
    #[prost(enumeration = "SessionStatus", tag = "1")]
    pub(crate) status: i32,
}

/// `SessionLog.SessionStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub(crate) enum SessionStatus {
    Unspecified = 0,
    /// What stands under this step and later ones so far is out of date.
    Start = 1,
}

/// `Summary`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Summary {
    #[prost(message, repeated, tag = "1")]
    pub(crate) value: Vec<Value>,
}

/// `Summary.Value`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Value {
    #[prost(string, tag = "1")]
    pub(crate) tag: String,
    #[prost(oneof = "Content", tags = "2, 4")]
    pub(crate) content: Option<Content>,
}

/// `Summary.Value.value`; 3, 5, 6 and 8 (histograms, sounds, tensors) are never written.
#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Content {
    #[prost(float, tag = "2")]
    SimpleValue(f32),
    #[prost(message, tag = "4")]
    Image(Image),
}

/// `Summary.Image`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Image {
    #[prost(int32, tag = "1")]
    pub(crate) height: i32,
    #[prost(int32, tag = "2")]
    pub(crate) width: i32,
    /// 3 is RGB.
    #[prost(int32, tag = "3")]
    pub(crate) colorspace: i32,
    /// A PNG file.
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) encoded_image_string: Vec<u8>,
}

/// `Image.colorspace` of red, green and blue.
pub(crate) const RGB: i32 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::framed;

    fn scalars(values: &[(&str, f32)]) -> What {
        let value = |&(tag, value): &(&str, f32)| Value { tag: tag.into(), content: Some(Content::SimpleValue(value)) };
        What::Summary(Summary { value: values.iter().map(value).collect() })
    }

    /// The events of `tests/golden/events.py`, which TensorBoard's own writer framed.
    #[test]
    fn bytes_are_those_of_tensorboards_own_writer() {
        let event = |wall_time, step, what| Event { wall_time, step, what: Some(what), source_metadata: None };
        let image = Image { height: 2, width: 3, colorspace: RGB, encoded_image_string: vec![137, 80, 78, 71] };
        let picture = Value { tag: "pictures/first batch".into(), content: Some(Content::Image(image)) };
        let events = [
            Event {
                source_metadata: Some(SourceMetadata { writer: "panal-tensorboard".into() }),
                ..event(1_700_000_000.25, 0, What::FileVersion(FILE_VERSION.into()))
            },
            event(1_700_000_000.5, 7, What::SessionLog(SessionLog { status: SessionStatus::Start.into() })),
            event(1_700_000_001.0, 8, scalars(&[("train/loss", 0.625), ("step/learning_rate", 0.0)])),
            event(1_700_000_002.0, 1 << 40, scalars(&[("é", f32::NEG_INFINITY)])),
            event(1_700_000_003.5, 9, What::Summary(Summary { value: vec![picture] })),
        ];
        let file: Vec<u8> = events.iter().flat_map(|event| framed(&event.encode_to_vec())).collect();
        assert_eq!(file, include_bytes!("../tests/golden/events.tfevents"));
    }
}
