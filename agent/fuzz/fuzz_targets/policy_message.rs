//! A message as a client of the policy server sends it, and the request in it.
#![no_main]

use mindseye_fuzz::accepted;
use mindseye_serving::message::Value;
use mindseye_serving::policy::Request;

libfuzzer_sys::fuzz_target!(init: mindseye_fuzz::begin(), |bytes: &[u8]| {
    let Some(value) = accepted(Value::decode(bytes)) else { return };
    // What was read can be written, and is then the same; a NaN is not equal to itself.
    let written = value.encode();
    assert_eq!(Value::decode(&written).expect("what was written").encode(), written);
    accepted(Request::of(&value));
});
