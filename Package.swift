// swift-tools-version: 6.2
import PackageDescription

/// Every target is built as Swift 6, with each warning an error.
let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

func module(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .testTarget(name: name, dependencies: dependencies, swiftSettings: strict)
}

let package = Package(
  name: "latchkey",
  products: [
    .executable(name: "latchkey", targets: ["latchkey"]),
    .executable(name: "latchkey-bench", targets: ["Bench"]),
    .library(name: "LatchkeyClient", targets: ["LatchkeyClient"]),
  ],
  targets: [
    .systemLibrary(name: "CHiredis", providers: [.apt(["libhiredis-dev"])]),
    .systemLibrary(name: "CLibevent", providers: [.apt(["libevent-dev"])]),
    .systemLibrary(name: "CLinux"),
    .systemLibrary(name: "COpenSSL", providers: [.apt(["libssl-dev"])]),
    module("Wire"),
    module("FuzzWire", ["Wire"]),
    module("SessionModel"),
    module("Loop", ["CLibevent", "CLinux", "COpenSSL"]),
    .target(
      name: "Scripts", dependencies: ["SessionModel"],
      resources: [.embedInCode("Lua")], swiftSettings: strict),
    module("RedisConnection", ["CHiredis", "Loop", "Scripts", "SessionModel"]),
    module("Worker", ["Loop", "RedisConnection", "Scripts", "SessionModel", "Wire"]),
    module("LatchkeyClient", ["Loop", "Wire"]),
    module("Load", ["LatchkeyClient", "Loop", "Wire"]),
    .executableTarget(
      name: "latchkey", dependencies: ["LatchkeyClient", "Load", "Loop", "Wire", "Worker"],
      swiftSettings: strict),
    .executableTarget(name: "Bench", dependencies: ["CLinux", "Loop"], swiftSettings: strict),
    .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: strict),
    .testTarget(
      name: "WireTests", dependencies: ["FuzzWire", "TestSupport", "Wire"], exclude: ["Corpus"],
      swiftSettings: strict),
    tests("SessionModelTests", ["SessionModel", "TestSupport"]),
    tests("LoopTests", ["Loop"]),
    tests("ScriptsTests", ["RedisConnection", "Scripts", "SessionModel", "TestSupport", "Worker"]),
    tests("RedisConnectionTests", ["RedisConnection", "Loop", "TestSupport"]),
    tests("WorkerTests", ["TestSupport", "Worker", "Wire"]),
    tests("LoadTests", ["Load", "Loop"]),
    tests("SystemTests", ["TestSupport"]),
    tests("TidyTests"),
  ]
)
