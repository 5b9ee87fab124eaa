// A saver of checkpoints, a store and a cache for LangGraph.js.
//
//     import { BaseCache, BaseCheckpointSaver, BaseStore } from "@langchain/langgraph-checkpoint";
//     class LatchkeySaver extends saver(BaseCheckpointSaver<number>) {}
//     class LatchkeyStore extends store(BaseStore) {}
//     class LatchkeyCache extends cache(BaseCache) {}
//     const graph = builder.compile({
//       checkpointer: new LatchkeySaver({ client }), store: new LatchkeyStore({ client }),
//     });
//
// The interfaces are written from LangGraph's documentation (@langchain/langgraph-checkpoint 1). The
// framework needs subclasses of its own classes, so those are parameters: this package does not
// depend on it.

export {
  cache,
  type CacheFullKey,
  type CacheMethods,
  type CacheOptions,
} from "./langgraph/cache.ts";
export {
  type Checkpoint,
  type CheckpointTuple,
  type ListOptions,
  type RunnableConfig,
  saver,
  type SaverMethods,
  type SaverOptions,
} from "./langgraph/saver.ts";
export {
  type Item,
  type Operation,
  store,
  type StoreMethods,
  type StoreOptions,
} from "./langgraph/store.ts";
