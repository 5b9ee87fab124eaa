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
    .systemLibrary(name: "CCurl", providers: [.apt(["libcurl4-openssl-dev"])]),
    .systemLibrary(name: "CHiredis", providers: [.apt(["libhiredis-dev"])]),
    .systemLibrary(name: "CLibevent", providers: [.apt(["libevent-dev"])]),
    .systemLibrary(name: "CLinux"),
    .systemLibrary(name: "COpenSSL", providers: [.apt(["libssl-dev"])]),
    module("Wire"),
    module("FuzzWire", ["Wire"]),
    module("SessionModel"),
    module("Loop", ["CLibevent", "CLinux", "COpenSSL"]),
    .target(
      name: "Scripts", dependencies: ["SessionModel"], resources: [.embedInCode("Lua")],
      swiftSettings: strict),
    .target(name: "Page", resources: [.embedInCode("Text")], swiftSettings: strict),
    module("RedisConnection", ["CHiredis", "Loop", "Scripts", "SessionModel"]),
    module("Settings", ["Loop", "RedisConnection", "SessionModel", "Wire"]),
    module("Metrics", ["Loop", "Wire"]),
    module("Seal", ["Loop"]),
    module("Records", ["RedisConnection", "Seal", "SessionModel", "Wire"]),
    module(
      "Store",
      ["Loop", "Metrics", "Records", "RedisConnection", "Scripts", "Seal", "SessionModel", "Wire"]),
    module("Webhooks", ["CCurl", "Loop", "Wire"]),
    module("Access", ["Loop", "Settings", "Wire"]),
    module(
      "Deadlines", ["Loop", "Metrics", "RedisConnection", "Scripts", "SessionModel", "Store"]),
    module(
      "Events",
      [
        "Access", "Loop", "Metrics", "Records", "RedisConnection", "Scripts", "Seal",
        "SessionModel", "Store", "Wire",
      ]),
    module(
      "Hooks",
      [
        "Access", "Events", "Loop", "Metrics", "RedisConnection", "Scripts", "Seal",
        "SessionModel", "Store", "Webhooks", "Wire",
      ]),
    module(
      "Service",
      [
        "Access", "Deadlines", "Events", "Hooks", "Loop", "Metrics", "Records", "RedisConnection",
        "Scripts", "Seal", "SessionModel", "Settings", "Store", "Webhooks", "Wire",
      ]),
    module(
      "Doctor",
      [
        "Access", "Loop", "RedisConnection", "Scripts", "Seal", "SessionModel", "Settings", "Wire",
      ]),
    module(
      "Server",
      [
        "Access", "Deadlines", "Doctor", "Events", "Hooks", "Loop", "Metrics", "Page",
        "RedisConnection", "Scripts", "Seal", "Service", "SessionModel", "Settings", "Store",
        "Webhooks", "Wire",
      ]),
    module("LatchkeyClient", ["Loop", "Wire"]),
    module("Load", ["LatchkeyClient", "Loop", "Wire"]),
    .executableTarget(
      name: "latchkey",
      dependencies: [
        "Access", "Doctor", "LatchkeyClient", "Load", "Loop", "Server", "Settings", "Wire",
      ],
      swiftSettings: strict),
    .executableTarget(name: "Bench", dependencies: ["CLinux", "Loop"], swiftSettings: strict),
    .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: strict),
    .testTarget(
      name: "WireTests", dependencies: ["FuzzWire", "TestSupport", "Wire"], exclude: ["Corpus"],
      swiftSettings: strict),
    tests("SessionModelTests", ["SessionModel", "TestSupport"]),
    tests("LoopTests", ["Loop", "TestSupport"]),
    tests(
      "ScriptsTests",
      [
        "Deadlines", "Events", "Hooks", "Records", "RedisConnection", "Scripts", "Service",
        "SessionModel", "Store", "TestSupport",
      ]),
    tests("RedisConnectionTests", ["RedisConnection", "Loop", "TestSupport"]),
    tests("StoreTests", ["Loop", "RedisConnection", "Scripts", "SessionModel", "Store"]),
    tests("SettingsTests", ["Settings"]),
    tests("MetricsTests", ["Metrics", "Wire"]),
    tests("WebhooksTests", ["Loop", "TestSupport", "Webhooks", "Wire"]),
    tests("AccessTests", ["Access", "Loop", "Settings", "Wire"]),
    tests("DeadlinesTests", ["Deadlines", "Metrics", "SessionModel"]),
    tests("SealTests", ["Loop", "Seal"]),
    tests("EventsTests", ["Events", "SessionModel"]),
    tests("HooksTests", ["Hooks", "Loop", "Seal", "SessionModel"]),
    tests("ServiceTests", ["Loop", "Service", "SessionModel", "Settings", "Wire"]),
    tests("DoctorTests", ["Doctor", "Loop", "RedisConnection", "Settings"]),
    tests(
      "ServerTests",
      [
        "Loop", "Metrics", "Server", "Service", "Settings", "Store", "TestSupport", "Wire",
      ]),
    tests("LatchkeyClientTests", ["LatchkeyClient", "Loop"]),
    tests("LoadTests", ["Load", "Loop"]),
    tests("SystemTests", ["TestSupport"]),
    tests("TidyTests"),
  ]
)
