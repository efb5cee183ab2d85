use super::*;

const ID: &str = "9d7829ea-ae88-4972-a28e-727780daf6c9";

fn answer(status: u16, body: &str) -> Answer {
    Answer { status, body: body.into(), is_delimited: true, ..Answer::default() }
}

fn typed(content_type: &str) -> Answer {
    Answer {
        content_type: Some(content_type.to_owned()),
        version: Some(ID.to_owned()),
        parent: Some(ID.replace('-', "").to_uppercase()),
        ..answer(200, "sealed")
    }
}

fn is_strange<T: std::fmt::Debug>(result: Result<T, Failure>, text: &str) {
    match result {
        Err(Failure::NotTheProtocol { what }) => assert!(what.contains(text), "{what}"),
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn a_child_needs_its_type_and_both_ids() {
    let id: VersionId = ID.parse().unwrap();
    let expected =
        SealedBody { version: id, parent: id, bytes: b"sealed".to_vec(), is_delimited: true };
    assert_eq!(typed(SEGMENT_TYPE).into_child(), Ok(ChildAnswer::Version(expected)));
    is_strange(typed(&format!("{SEGMENT_TYPE}; x=y")).into_child(), "content type");
    is_strange(typed("text/html").into_child(), "web page");
    is_strange(Answer { content_type: None, ..typed("") }.into_child(), "no content type");
    is_strange(Answer { version: None, ..typed(SEGMENT_TYPE) }.into_child(), "no X-Version-Id");
    is_strange(
        Answer { parent: None, ..typed(SEGMENT_TYPE) }.into_child(),
        "no X-Parent-Version-Id",
    );
    let rubbish = Some("rub\u{7}bish".to_owned());
    is_strange(Answer { parent: rubbish, ..typed(SEGMENT_TYPE) }.into_child(), "is rub bish");
    let nil = Some(VersionId::NIL.to_string());
    is_strange(Answer { version: nil, ..typed(SEGMENT_TYPE) }.into_child(), "nil");
    let gzip = Some("gzip".to_owned());
    is_strange(Answer { content_encoding: gzip, ..typed(SEGMENT_TYPE) }.into_child(), "compressed");
}

#[test]
fn not_found_is_read_by_its_words() {
    let cases = [
        ("no such version", ChildAnswer::UpToDate),
        (" No Such Version\r\n", ChildAnswer::UpToDate),
        ("no such client", ChildAnswer::NoSuchClient),
        ("no such version here", ChildAnswer::StrangeNotFound),
        ("", ChildAnswer::StrangeNotFound),
        ("<html>404</html>", ChildAnswer::StrangeNotFound),
    ];
    for (body, expected) in cases {
        assert_eq!(answer(404, body).into_child(), Ok(expected), "{body}");
    }
    assert_eq!(answer(410, "version has been deleted").into_child(), Ok(ChildAnswer::Gone));

    for body in ["", "no such client", "no snapshot"] {
        assert_eq!(answer(404, body).into_snapshot(), Ok(None), "{body}");
    }
    for body in ["<html>404</html>", &"long ".repeat(99)] {
        assert_eq!(
            answer(404, body).into_snapshot().err(),
            Some(Failure::StrangeNotFound),
            "{body}"
        );
    }
}

#[test]
fn an_upload_is_taken_or_rejected_or_unknown() {
    let id: VersionId = ID.parse().unwrap();
    let wish = |text: &str| Answer {
        version: Some(ID.to_owned()),
        snapshot_request: Some(text.to_owned()),
        ..answer(200, "")
    };
    for (text, urgency) in [
        ("urgency=low", Urgency::Low),
        ("urgency=high", Urgency::High),
        ("urgency=extreme", Urgency::None),
        ("", Urgency::None),
    ] {
        let expected = AddAnswer::Accepted { version: id, urgency };
        assert_eq!(wish(text).into_added(), Ok(expected), "{text}");
    }
    let conflict = Answer { parent: Some(ID.to_owned()), ..answer(409, "") };
    assert_eq!(conflict.into_added(), Ok(AddAnswer::Conflict { latest: id }));
    is_strange(answer(409, "").into_added(), "no X-Parent-Version-Id");

    for (name, unknown) in [
        ("no id", answer(200, "")),
        ("a portal's page", Answer { content_type: Some("text/html".into()), ..answer(200, "") }),
        ("a nil id", Answer { version: Some(VersionId::NIL.to_string()), ..answer(200, "") }),
        ("no id that can be read", Answer { version: Some("x".into()), ..answer(200, "") }),
        ("another success", answer(204, "")),
        ("a problem of the server", answer(500, "")),
        ("a gateway's time-out", answer(504, "<html>")),
    ] {
        let outcome = unknown.into_added();
        assert!(matches!(outcome, Ok(AddAnswer::Unknown(_))), "{name}: {outcome:?}");
    }
    assert_eq!(answer(404, "no such client").into_added(), Err(Failure::ClientUnknown));
    assert_eq!(answer(404, "").into_added(), Err(Failure::ClientUnknown));
    assert_eq!(answer(404, "<h1>").into_added(), Err(Failure::StrangeNotFound));
}

#[test]
fn a_tandem_is_heard_in_its_own_words() {
    let document = |code: &str, message: &str| {
        format!(r#"{{"code":"{code}","message":"{message}","hint":"h","request_id":"1"}}"#)
    };
    let told = |status, retry_after: &str, body: &str| Answer {
        content_type: Some("application/json".to_owned()),
        retry_after: Some(retry_after.to_owned()),
        ..answer(status, body)
    };
    for (status, retry_after, code, text) in [
        (503, "5", "disk_low", "the server says: It is full. (ask again in 5 s)"),
        (429, "600", "too_many_guesses", "the server says: It is full. (ask again in 10 min)"),
        (408, "soon", "too_slow", "the server says: It is full."),
    ] {
        let failure = told(status, retry_after, &document(code, "It is full."));
        let failure = failure.into_child().unwrap_err();
        assert_eq!(failure.to_string(), text);
        assert!(matches!(failure, Failure::Told { code: it, .. } if it == code));
    }
    // Whether a version was stored is open still, whatever the words say.
    let added = told(503, "5", &document("busy", "Busy.")).into_added();
    assert!(matches!(added, Ok(AddAnswer::Unknown(Failure::Told { .. }))));
    let escape = told(503, "5", &document("busy", r"\u001b[2J\nred")).into_child().unwrap_err();
    assert!(!escape.to_string().contains('\u{1b}'), "{escape:?}");
    for body in ["", "{}", "{\"code\":1}", "[1"] {
        let failure = told(503, "5", body).into_child();
        assert_eq!(failure, Err(Failure::ServerError { status: 503 }), "{body}");
    }
    // A proxy's, which has no words of that form.
    let proxy = Answer { retry_after: Some("30".to_owned()), ..answer(429, "slow down") };
    let failure = proxy.into_child().unwrap_err();
    assert!(matches!(&failure, Failure::Told { code, .. } if code == "busy"));
    let text = "the server says: too many requests (status 429) (ask again in 30 s)";
    assert_eq!(failure.to_string(), text);
}

#[test]
fn refusals_say_why() {
    assert_eq!(answer(403, "").into_child(), Err(Failure::Forbidden));
    assert_eq!(answer(401, "").into_added(), Err(Failure::Forbidden));
    assert_eq!(answer(403, "").into_snapshot(), Err(Failure::Forbidden));
    assert_eq!(answer(503, "").into_child(), Err(Failure::ServerError { status: 503 }));
    is_strange(
        answer(400, "Bad\u{1b}[2J content-type\n").into_added(),
        "status 400: Bad [2J content-type",
    );
    is_strange(answer(400, &"x".repeat(999)).into_child(), "xxx…");
    is_strange(answer(418, "").into_child(), "status 418");
    is_strange(answer(413, "<html>").into_added(), "client_max_body_size");
    is_strange(answer(407, "").into_child(), "proxy");
    assert!(matches!(answer(400, "overflow").into_added(), Err(Failure::TooLarge { .. })));
    assert_eq!(answer(200, "").check_snapshot_added(), Ok(()));
    is_strange(answer(200, "<html>").check_snapshot_added(), "web page");
    assert_eq!(answer(404, "no such client").check_snapshot_added(), Err(Failure::ClientUnknown));
}
