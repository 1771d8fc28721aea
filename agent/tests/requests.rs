//! Lines of text that ask a planning session for something: what is right, and one line for what is not.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use mindseye_agent::session::{Executed, NamedImages, PlanRequest};

fn refused(line: &str) -> String {
    let error = PlanRequest::parse(line.as_bytes()).unwrap_err().to_string();
    assert!(!error.contains('\n') && error.len() < 400, "{error}");
    error
}

#[test]
fn a_line_names_images_measurements_and_what_was_executed() {
    let line = r#"{"image": {"top": "t.png", "wrist": "w.png"}, "proprioception": [1, -2.5], "executed": [[0.5], [1]],
                   "goal": "g.png", "goal_proprioception": [3, 4]}"#;
    let request = PlanRequest::parse(line.replace('\n', " ").as_bytes()).unwrap();
    let Some(NamedImages::ByCamera(images)) = &request.image else { panic!("{:?}", request.image) };
    assert_eq!(images.len(), 2);
    assert_eq!(request.proprioception, [1.0, -2.5]);
    assert_eq!(request.executed, Some(Executed::Actions(vec![vec![0.5], vec![1.0]])));
    assert_eq!(request.goal, Some(NamedImages::One("g.png".into())));
    for (text, executed) in [("3", Executed::Steps(3)), ("[1, 2]", Executed::Flat(vec![1.0, 2.0]))] {
        let request = PlanRequest::parse(format!("{{\"executed\": {text}, \"image\": null}}").as_bytes()).unwrap();
        assert_eq!((request.executed, request.image), (Some(executed), None));
    }
}

/// Symptom: `[]` and `{"image": {}}` planned as if a frame had been lost, a goal's measurements without a goal and what
/// was executed in a new episode were dropped; errors named neither field nor value. Cause: derived readers that take
/// whatever fits. Fix: fields are read by hand.
#[test]
fn what_is_no_request_is_refused_by_field() {
    for (line, words) in [
        ("", &["empty line"][..]),
        ("[]", &["sequence", "an object"]),
        (r#"{"image": {}}"#, &["image: ", "empty object"]),
        (r#"{"image": 3}"#, &["image: expected the path", "3"]),
        (r#"{"photo": "now.png"}"#, &["photo: expected one of image, "]),
        (r#"{"goal": "a.png", "goal": "b.png"}"#, &["goal", "twice"]),
        (r#"{"proprioception": ["a"]}"#, &["proprioception: expected a list of numbers", "\"a\""]),
        (r#"{"executed": 1.5}"#, &["executed: expected a number of control steps", "1.5"]),
        (r#"{"executed": -1}"#, &["executed: ", "-1"]),
        (r#"{"executed": [1, [2]]}"#, &["executed: ", "one kind of list"]),
        (r#"{"goal_proprioception": [1]}"#, &["goal_proprioception: expected a goal"]),
        (r#"{"new_episode": true, "executed": 1}"#, &["executed: ", "new episode"]),
        (r#"{"new_episode": 1}"#, &["new_episode: expected true or false"]),
        (r#"{"image": "now"#, &["image: ", "EOF"]),
        (r#"{"image": "now.png""#, &["one line of JSON", "column"]),
        ("{\"\u{1b}[2J\": 1}", &["control character"]),
    ] {
        let error = refused(line);
        assert!(words.iter().all(|word| error.contains(word)), "{line}: {error}");
    }
}

/// Symptom: a line of 20 MB took a gigabyte. Cause: values of either kind were kept whole until it was known which one
/// they were. Fix: they are counted as they are read.
#[test]
fn lists_and_cameras_are_counted_as_they_are_read() {
    for (start, entry) in [("executed\": [", "1,"), ("executed\": [", "[],"), ("proprioception\": [", "1,")] {
        let line = format!("{{\"{start}{}1]}}", entry.repeat(200_000));
        assert!(refused(&line).contains("at most 65536 numbers"), "{entry}");
    }
    let cameras: Vec<String> = (0..100).map(|index| format!("\"{index}\": \"a.png\"")).collect();
    assert!(refused(&format!("{{\"image\": {{{}}}}}", cameras.join(","))).contains("at most 64 cameras"));
}
