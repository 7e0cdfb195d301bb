//! A secret that must not be seen: receives a text, looks for it in every command line and environment.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Looks at all processes until it is dropped or asked.
pub(super) struct Lookout {
    looking: Arc<AtomicBool>,
    seen: Arc<Mutex<Option<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl Lookout {
    pub(super) fn start(secret: String) -> Self {
        let (looking, seen) = (Arc::new(AtomicBool::new(true)), Arc::new(Mutex::new(None)));
        let (flag, found) = (Arc::clone(&looking), Arc::clone(&seen));
        let thread = std::thread::spawn(move || {
            while flag.load(Ordering::Relaxed) {
                if let Some(place) = look(secret.as_bytes()) {
                    *found.lock().unwrap_or_else(PoisonError::into_inner) = Some(place);
                    return;
                }
                std::thread::sleep(LOOK_EVERY);
            }
        });
        Self { looking, seen, thread: Some(thread) }
    }

    /// Stops looking, and says where the secret was seen.
    pub(super) fn finish(mut self) -> Option<String> {
        self.stop();
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn stop(&mut self) {
        self.looking.store(false, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Lookout {
    fn drop(&mut self) {
        self.stop();
    }
}

fn look(secret: &[u8]) -> Option<String> {
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let folder = entry.path();
        for (file, words) in [("cmdline", "the command line"), ("environ", "the environment")] {
            // Processes come and go, and those of others can't be read.
            let Ok(bytes) = fs::read(folder.join(file)) else { continue };
            if memchr::memmem::find(&bytes, secret).is_some() {
                let name = fs::read_to_string(folder.join("comm")).unwrap_or_default();
                return Some(format!("{words} of `{}`", name.trim()));
            }
        }
    }
    None
}
