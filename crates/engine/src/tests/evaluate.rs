//! Evaluation of a command, and of a part of one.

use skep_protocol::{PartitionId, Position};

use super::content::Content;
use crate::banned::Banned;
use crate::definitions::Definitions;
use crate::engine::{Engine, Input};
use crate::processing::Processing;
use crate::{Context, EngineConfig, Outcome};

pub struct Evaluator {
    config: EngineConfig,
    definitions: Definitions,
    banned: Banned,
    engine: Engine,
    /// Evaluates everything a second time, with whatever it remembers from before.
    shadow: Engine,
}

impl Evaluator {
    pub fn new(partition: u32, partition_count: u32) -> Evaluator {
        let config = EngineConfig {
            partition: PartitionId(partition),
            partition_count,
        };
        Evaluator {
            engine: Engine::new(config.clone()),
            shadow: Engine::new(config.clone()),
            definitions: Definitions::default(),
            banned: Banned::default(),
            config,
        }
    }

    /// An evaluation to call parts of the engine in.
    pub fn begin<'a>(
        &'a mut self,
        content: &'a mut Content,
        time: i64,
        first: Position,
    ) -> Processing<'a> {
        let context = Context {
            time,
            seed: 1,
            first_position: first,
        };
        let (definitions, banned) = (&mut self.definitions, &mut self.banned);
        Processing::new(content, &self.config, definitions, banned, context)
    }

    /// Evaluates an input, and asserts that another engine does the same with it.
    pub fn evaluate(
        &mut self,
        content: &mut Content,
        time: i64,
        first: Position,
        input: Input,
    ) -> Outcome {
        let context = Context {
            time,
            seed: 1,
            first_position: first,
        };
        let mut again = content.clone();
        let outcome = self
            .engine
            .process(input.clone(), content, &context)
            .unwrap();
        assert_eq!(
            self.shadow.process(input, &mut again, &context).unwrap(),
            outcome
        );
        assert!(
            again == *content,
            "the writes of the same evaluation differ"
        );
        outcome
    }

    /// What is due.
    pub fn due(&self, content: &Content, time: i64) -> crate::Due {
        self.engine.due(content, time).unwrap()
    }
}
