//! `weights.pt` files that are broken or hostile: each is refused on one line that names the file, with little memory.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::io::Write as _;
use std::path::Path;

use mindseye_interface::MemoryLimit;
use mindseye_world_model::Lewm;
use mindseye_world_model::testing::tensors_in_pickle;
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

fn fixture() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/lewm_tiny")
}

/// A pickle under construction.
#[derive(Default, Clone)]
struct Pickle(Vec<u8>);

impl Pickle {
    fn op(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(self, text: &str) -> Self {
        self.op(b"X").op(&(text.len() as u32).to_le_bytes()).op(text.as_bytes())
    }

    fn int(self, value: i32) -> Self {
        self.op(b"J").op(&value.to_le_bytes())
    }

    fn name(self, module: &str, name: &str) -> Self {
        self.op(format!("c{module}\n{name}\n").as_bytes())
    }

    fn ints(self, values: &[i32]) -> Self {
        values.iter().fold(self.op(b"("), |pickle, &value| pickle.int(value)).op(b"t")
    }

    fn storage(self, kind: &str, key: &str, elements: i32) -> Self {
        self.op(b"(").text("storage").name("torch", kind).text(key).text("cpu").int(elements).op(b"tQ")
    }

    /// A tensor, as PyTorch describes it.
    fn tensor(self, key: &str, elements: i32, offset: i32, size: &[i32], stride: &[i32]) -> Self {
        let call = self.name("torch._utils", "_rebuild_tensor_v2").op(b"(").storage("FloatStorage", key, elements);
        let call = call.int(offset).ints(size).ints(stride).op(b"\x89");
        call.name("collections", "OrderedDict").op(b")RtR")
    }

    /// A state dict with what `items` appends.
    fn dict(items: impl FnOnce(Self) -> Self) -> Vec<u8> {
        items(Self::default().op(b"\x80\x02").name("collections", "OrderedDict").op(b")R(")).op(b"u.").0
    }
}

/// What loading a folder with this list of tensors, and these storages, reports; checked to be one line.
fn refusal(list: &[u8], storages: &[(&str, &[u8])]) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(fixture().join("config.json"), folder.path().join("config.json")).unwrap();
    let mut zip = zip::ZipWriter::new(std::fs::File::create(folder.path().join("weights.pt")).unwrap());
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    let lists = [("archive/data.pkl".to_owned(), list)];
    let storages = storages.iter().map(|(key, bytes)| (format!("archive/data/{key}"), *bytes));
    for (name, bytes) in lists.into_iter().chain(storages) {
        zip.start_file(name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
    let limit = MemoryLimit::from_bytes(64 << 20);
    let refused = Lewm::load_within(folder.path(), limit).unwrap_err().to_string();
    assert!(refused.contains("weights.pt") && !refused.contains('\n'), "{refused}");
    refused
}

/// Symptom: 200 000 nested tuples overflowed the stack.
/// Cause: values were cloned and dropped recursively.
/// Fix: values refer to each other by index.
#[test]
fn nesting_is_refused_without_recursion() {
    let nested = Pickle::default().op(b"\x80\x02)").op(&vec![0x85; 200_000]).op(b".").0;
    assert!(refusal(&nested, &[]).contains("expected a state dict, got a tuple"));
    let inside = Pickle::dict(|items| items.text("w").op(b")").op(&vec![0x85; 200_000]));
    assert!(refusal(&inside, &[]).contains("got none"));
}

/// Symptom: a file of 296 bytes, whose values recall earlier ones ten times each, took all memory; so did 100 kB that
/// unpack to a hundred million opcodes.
/// Cause: every recall copied; neither the list's length nor the number of its values was limited.
/// Fix: recalling is an index; both are limited.
#[test]
fn neither_recalled_nor_repeated_values_take_memory() {
    let doubled = (0..250_u8).fold(Pickle::default().op(b"\x80\x02)q\x00"), |pickle, level| {
        let recalled = (0..10).fold(pickle.op(b"("), |pickle, _| pickle.op(&[b'h', level]));
        recalled.op(&[b't', b'q', level + 1])
    });
    assert!(refusal(&doubled.op(b".").0, &[]).contains("expected a state dict, got a tuple"));
    let nones = |count: usize| Pickle::default().op(b"\x80\x02").op(&vec![b'N'; count]).op(b".").0;
    assert!(refusal(&nones(100 << 20), &[]).contains("expected at most 8388608 bytes unpacked, got more"));
    assert!(refusal(&nones(2 << 20), &[]).contains("expected at most 1048576 values, got more"));
}

/// Symptom: a panic of four lines for a tensor with two arguments instead of six, and a line `skipping: ...` per tensor
/// of a wrong kind.
/// Cause: the library's reader takes arguments by index, and prints what it passes over.
/// Fix: number and kind of every argument are checked, and refused with the tensor's name.
#[test]
fn a_tensor_that_makes_no_sense_is_refused_by_its_name() {
    const NAME: &str = "encoder.layernorm.bias";
    let call = |items: Pickle| items.text(NAME).name("torch._utils", "_rebuild_tensor_v2").op(b"(");
    type Items = Box<dyn FnOnce(Pickle) -> Pickle>;
    let cases: [(Items, &str); 9] = [
        (Box::new(move |items| call(items).int(1).int(2).op(b"tR")), "expected 6 to 7 arguments, got 2"),
        (Box::new(move |items| call(items).op(b"NNNNNNtR")), "expected a storage, got another kind of value"),
        (Box::new(|items| items.text(NAME).tensor("0", 48, 0, &[48], &[1, 1])), "stride: expected 1 dimensions"),
        (Box::new(|items| items.text(NAME).tensor("0", 48, 1, &[48], &[1])), "storage of 48 elements"),
        (Box::new(|items| items.text(NAME).tensor("0", 48, -1, &[48], &[1])), "offset: expected a number of 0 or more"),
        (Box::new(|items| items.text(NAME).tensor("0", 48, 0, &[-48], &[1])), "size: expected a number of 0 or more"),
        (
            Box::new(|items| items.text(NAME).tensor("0", 48, 0, &[i32::MAX; 3], &[i32::MAX; 3])),
            "expected a view of a storage",
        ),
        (
            Box::new(|items| {
                let twice = items.text(NAME).tensor("0", 48, 0, &[48], &[1]);
                twice.text(NAME).tensor("0", 48, 0, &[48], &[1])
            }),
            "expected one tensor of this name, got two",
        ),
        (
            Box::new(move |items| {
                let storage =
                    items.text(NAME).name("torch._utils", "_rebuild_tensor_v2").op(b"(").op(b"(").text("storage");
                storage.name("collections", "OrderedDict").text("0").text("cpu").int(48).op(b"tQNNNNNtR")
            }),
            "storage: expected its type, got a name",
        ),
    ];
    for (items, expected) in cases {
        let refused = refusal(&Pickle::dict(items), &[]);
        assert!(refused.contains(NAME) && refused.contains(expected), "{refused}");
    }
}

#[test]
fn nothing_but_the_names_of_a_state_dict_is_known() {
    for (module, name) in [("os", "system"), ("posix", "system"), ("builtins", "eval"), ("torch", "load")] {
        let inside = Pickle::dict(|items| items.text("w").name(module, name).text("touch file").op(b"\x85R"));
        assert!(refusal(&inside, &[]).contains(&format!("got {module}.{name}")));
        let outside = Pickle::default().op(b"\x80\x02").name(module, name).text("touch file").op(b"\x85R.").0;
        assert!(refusal(&outside, &[]).contains(&format!("got {module}.{name}")));
    }
    let escapes = Pickle::dict(|items| items.name("\u{1b}[31m", "red"));
    assert!(refusal(&escapes, &[]).contains("\\u{1b}[31m.red"));
}

/// Symptom: 20 000 tensors of one storage, in a file of 1.1 MB, took 20 GB.
/// Cause: all tensors were read before their names were compared with the model's.
/// Fix: names and shapes are compared first.
#[test]
fn names_and_shapes_are_compared_before_values_are_read() {
    let many = Pickle::dict(|items| {
        (0..20_000)
            .fold(items, |items, index| items.text(&format!("t{index}")).tensor("0", 262_144, 0, &[262_144], &[1]))
    });
    let refused = refusal(&many, &[("0", &vec![0; 1 << 20])]);
    assert!(refused.contains("expected a weight action_encoder.embed.0.bias, got none"), "{refused}");
}

/// The list of a real file, cut off at every byte and with every byte changed: an error or a list, and no panic.
#[test]
fn a_list_that_is_cut_off_or_changed_is_refused_or_read() {
    let mut zip = zip::ZipArchive::new(std::fs::File::open(fixture().join("weights.pt")).unwrap()).unwrap();
    let mut list = Vec::new();
    std::io::copy(&mut zip.by_name("weights/data.pkl").unwrap(), &mut list).unwrap();
    assert_eq!(tensors_in_pickle(&list).unwrap(), 91);
    for end in (0..list.len()).step_by(7) {
        assert!(tensors_in_pickle(&list[..end]).is_err(), "cut off at {end}");
    }
    for (place, change) in (0..list.len()).step_by(5).zip((1..=255_u8).cycle()) {
        let mut changed = list.clone();
        changed[place] ^= change;
        if let Ok(tensors) = tensors_in_pickle(&changed) {
            assert!(tensors <= 91);
        }
    }
}

/// Symptom: a storage of zeros that unpacks to gigabytes, with sizes to match in config.json, took all memory.
/// Cause: what a file unpacks to was held against nothing.
/// Fix: sizes of storages are summed up, and held against the file's size and the limit, before one is read.
#[test]
fn storages_are_held_against_the_limit_before_they_are_read() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["config.json", "weights.pt"] {
        std::fs::copy(fixture().join(file), folder.path().join(file)).unwrap();
    }
    let refused = Lewm::load_within(folder.path(), MemoryLimit::from_bytes(100_000)).unwrap_err().to_string();
    assert!(refused.contains("memory") || refused.contains("at most 100000 bytes"), "{refused}");
    assert!(!refused.contains('\n'), "{refused}");
}
