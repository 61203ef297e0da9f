//! What a call is answered with: the envelopes around a result and around an error.

mod request_id;
mod xml;

pub use request_id::RequestId;
pub use xml::Xml;

use super::error::ApiError;

/// ELB's namespace. The slash at its end belongs to it.
pub const NAMESPACE: &str = "http://elasticloadbalancing.amazonaws.com/doc/2012-06-01/";

/// The body of a successful answer. The result element is there even when it is empty: clients look for it.
pub fn success(operation: &str, request_id: RequestId, result: Xml) -> Vec<u8> {
    let (response, result_name) = (format!("{operation}Response"), format!("{operation}Result"));
    let mut xml = Xml::default();
    xml.root(&response, NAMESPACE, |xml| {
        xml.element(&result_name, |xml| xml.append(result));
        xml.element("ResponseMetadata", |xml| xml.text("RequestId", request_id));
    });
    xml.into_bytes()
}

/// The body of a failed answer.
pub fn failure(error: &ApiError, request_id: RequestId) -> Vec<u8> {
    let at_fault = if error.code.status().is_server_error() { "Receiver" } else { "Sender" };
    let mut xml = Xml::default();
    xml.root("ErrorResponse", NAMESPACE, |xml| {
        xml.element("Error", |xml| {
            xml.text("Type", at_fault);
            xml.text("Code", error.code.as_str());
            xml.text("Message", &error.message);
        });
        xml.text("RequestId", request_id);
    });
    xml.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::api::error::ErrorCode;

    #[test]
    fn envelopes_have_elbs_names() {
        let id = RequestId::random();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        assert_eq!(
            text(success("AddTags", id, Xml::default())),
            format!(
                "<AddTagsResponse xmlns=\"{NAMESPACE}\"><AddTagsResult></AddTagsResult>\
                 <ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata></AddTagsResponse>"
            )
        );
        for (code, at_fault) in [(ErrorCode::InternalFailure, "Receiver"), (ErrorCode::AccessDenied, "Sender")] {
            assert_eq!(
                text(failure(&ApiError::new(code, "a<b"), id)),
                format!(
                    "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>{at_fault}</Type><Code>{}</Code>\
                     <Message>a&lt;b</Message></Error><RequestId>{id}</RequestId></ErrorResponse>",
                    code.as_str()
                )
            );
        }
    }
}
