//! Many files.

use std::ops::ControlFlow;

use polysight::media::fit::{FitSettings, ManyOptions, fit_many, pictures_in};
use polysight_testkit::pictures;

use crate::narrow;

#[test]
fn every_file_of_a_folder_gets_one_result_in_order() {
    let folder = tempfile::tempdir().unwrap();
    for index in 0..40 {
        let name = folder.path().join(format!("{index:02}.jpg"));
        let picture = match index {
            7 => b"no picture".to_vec(),
            _ => pictures::jpeg(&pictures::quarters(200 + index, 100), 80),
        };
        std::fs::write(name, picture).unwrap();
    }
    std::fs::write(folder.path().join("notes.txt"), "not a picture").unwrap();
    let paths = pictures_in(folder.path()).unwrap();
    assert_eq!(paths.len(), 40);
    let mut seen = Vec::new();
    let options = ManyOptions::new().with_threads(4).with_max_memory(1);
    let each =
        |progress: polysight::media::fit::Progress, path: &std::path::Path, result: polysight::Result<_>| {
            assert_eq!((progress.done, progress.total), (seen.len() + 1, 40));
            let index: u32 = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
            seen.push((
                index,
                result.map(|fitted: polysight::media::fit::Fitted| fitted.report.unwrap().plan.from.0),
            ));
            ControlFlow::Continue(())
        };
    fit_many(&paths, &narrow(150), &FitSettings::new(), &options, each).unwrap();
    for (at, (index, result)) in seen.into_iter().enumerate() {
        assert_eq!(at, index as usize);
        match index {
            7 => assert!(result.unwrap_err().message().contains("07.jpg"), "the file is named"),
            _ => assert_eq!(result.unwrap(), 200 + index),
        }
    }
}

#[test]
fn a_list_can_be_broken_off() {
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<_> = (0..50).map(|index| folder.path().join(format!("{index}.png"))).collect();
    let mut seen = 0;
    let each = |_, _: &std::path::Path, result: polysight::Result<_>| {
        assert!(result.is_err());
        seen += 1;
        if seen == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    fit_many(&paths, &narrow(9), &FitSettings::new(), &ManyOptions::new(), each).unwrap();
    assert_eq!(seen, 3);
}
