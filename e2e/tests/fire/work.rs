//! What a controller has asked for.

use locket_controller::fake::{Reads, World};

/// What was asked of the backend, of the queue and of the engine.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    pub reads: Reads,
    pub passes: usize,
    pub calls: usize,
}

impl Work {
    pub async fn so_far(world: &World) -> Self {
        let metrics = world.metrics().await;
        let counts = metrics.lines().filter_map(|line| {
            let count = line.strip_prefix("locket_pass_duration_seconds_count{")?;
            count.rsplit(' ').next()?.parse::<usize>().ok()
        });
        Self {
            reads: world.backend.reads(),
            passes: counts.sum(),
            calls: world.fake.calls(),
        }
    }

    /// What came after `before`.
    pub async fn since(before: Self, world: &World) -> Self {
        let now = Self::so_far(world).await;
        Self {
            reads: Reads {
                versions: now.reads.versions - before.reads.versions,
                values: now.reads.values - before.reads.values,
                secrets: now.reads.secrets - before.reads.secrets,
                ..now.reads
            },
            passes: now.passes - before.passes,
            calls: now.calls - before.calls,
        }
    }
}
