use crate::config::HostConfig;
use crate::text::Text;

fn read(bytes: &[u8]) -> bool {
    let files = [Text::new("locket.yaml", super::text(bytes))];
    match HostConfig::parse("locket.yaml", files[0].text()) {
        Ok(it) => {
            // What holds for a project is complete, and complete for itself.
            let all = it.complete(&it.defaults);
            assert_eq!(it.complete(&all), all);
            true
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            super::shown(&problems, &files);
            false
        }
    }
}

locket_fuzz::target!(host_config, reach: 5, read);
