// The image: its Dockerfile is linted, its files and packages are compared with the needs of the
// build and the program, and its health check is run. No container engine builds it here.

import Foundation
import Glibc
import Testing

extension SystemSuites.Deploy {
  @Suite struct Image {
    private static let path = "deploy/docker/Dockerfile"

    /// The instructions, continued lines joined, without comments.
    private func instructions() throws -> [String] {
      try Project.text(Self.path).split(separator: "\n").filter { !$0.hasPrefix("#") }
        .joined(separator: "\n").replacingOccurrences(of: "\\\n", with: " ")
        .split(separator: "\n").map(String.init)
    }

    /// The packages of each `apt-get install`, in order.
    private func packages() throws -> [Set<String>] {
      try instructions().compactMap { line in
        guard let match = line.firstMatch(of: /--no-install-recommends ([^&]*)/) else { return nil }
        return Set(match.1.split(separator: " ").map(String.init))
      }
    }

    @Test func `the linter has nothing to complain of`() throws {
      let run = try ToolRun("hadolint", [Project.root.appending(path: Self.path).path])
      #expect(run.status == 0 && run.output.isEmpty, "\(run)")
    }

    @Test func `the copied files exist, pass .dockerignore, and are enough for a build`() throws {
      let copied = try instructions().filter { $0.hasPrefix("COPY ") && !$0.contains("--from=") }
        .map { String($0.split(separator: " ")[1]) }
      let folder = try Scratch.folder("context")
      for name in copied {
        let place = Project.root.appending(path: name).path
        try FileManager.default.copyItem(atPath: place, toPath: "\(folder)/\(name)")
      }
      let passed = try Project.text("\(Self.path).dockerignore").split(separator: "\n")
        .filter { $0.hasPrefix("!") }.map { String($0.dropFirst()) }
      #expect(Set(passed) == Set(copied))
      // A package whose folders are not all there cannot be read.
      let run = try ToolRun(
        "swift",
        ["package", "--package-path", folder, "--scratch-path", "\(folder)/b", "describe"])
      #expect(run.status == 0, "\(run)")
    }

    @Test func `it is built as scripts/lib.sh builds`() throws {
      let script = try Project.text("scripts/lib.sh")
      let listed = try #require(script.firstMatch(of: /build_packages=\(([^)]*)\)/)?.1)
      #expect(try packages().first == Set(listed.split(separator: " ").map(String.init)))
      let build = try #require(try instructions().first { $0.contains("swift build") })
      for option in ["-c release", "--static-swift-stdlib", "-enforce-exclusivity=unchecked"] {
        #expect(build.contains(option) && script.contains(option), "\(option)")
      }
      #expect(build.contains("--product latchkey"))
    }

    @Test func `the program takes the same libraries from archives as that of scripts/lib.sh`()
      throws
    {
      let script = try Project.text("scripts/lib.sh")
      let listed = try #require(script.firstMatch(of: /\narchived=\(([^)]*)\)/)?.1)
      let loop = try #require(
        try instructions().compactMap { $0.firstMatch(of: /for name in ([^;]*);.*\/archives/)?.1 }
          .first)
      #expect(loop == listed)
      // What the image then still needs: a Redis with TLS is verified, and webhooks are sent.
      #expect(try packages().last == ["ca-certificates", "libcurl4", "libstdc++6"])
      let names = listed.split(separator: " ").map { "lib\($0)" }
      let run = try ToolRun("ldd", [WorkerProcess.binary])
      let libraries = run.output.matches(of: #/([\w.+-]+)\.so\.[0-9.]+ =>/#).map { $0.1 }
      for library in libraries where !["libc", "libm", "libstdc++", "libgcc_s"].contains(library) {
        #expect(names.contains { library.hasPrefix($0) }, "\(library) has no archive: \(run)")
      }
      #expect(libraries.count > names.count, "\(run)")
    }

    @Test func `it runs as a user of its own, and is stopped by the signal that starts a drain`()
      throws
    {
      let all = try instructions()
      #expect(all.contains("USER 10001:10001") && all.contains("STOPSIGNAL SIGTERM"))
      let last = try #require(all.lastIndex { $0.hasPrefix("FROM ") })
      let user = try #require(all.lastIndex { $0.hasPrefix("USER ") })
      #expect(user > last)
      let environment = try #require(all.first { $0.hasPrefix("ENV ") })
      let names = environment.matches(of: /([A-Z_]+)=/).map { String($0.1) }
      #expect(try ServeFlags().variables.isSuperset(of: names) && !names.isEmpty)
    }

    @Test func `the health check follows readyz`() throws {
      let line = try #require(try instructions().first { $0.hasPrefix("HEALTHCHECK ") })
      let list = try #require(line.range(of: "CMD "))
      let lab = try Lab()
      defer { lab.stop() }
      let words = try JSON(String(line[list.upperBound...])).items.compactMap(\.string)
      #expect(words.first == "/usr/local/bin/latchkey" && words.count > 1)
      // As in the image, where serve has its address from the same variable.
      let environment = ["LATCHKEY_ADMIN": "0.0.0.0:\(lab.worker.adminPort)"]
      func check() throws -> Int32 {
        try ProgramRun(Array(words.dropFirst()), environment: environment).status
      }
      try eventually("health", within: .seconds(10)) { try check() == 0 }
      lab.redis.kill()
      try eventually("no health", within: .seconds(10)) { try check() == 1 }
      lab.worker.kill()
      #expect(try check() == 3)
    }
  }
}
