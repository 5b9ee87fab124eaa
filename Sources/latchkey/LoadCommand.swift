// Owns: `latchkey load`: runs the concurrent-session harness, prints its summary and writes its
// files. Main thread.

import Glibc
import Load

enum LoadCommand {
  static func run(_ arguments: [String]) -> Int32 {
    do throws(LoadArgumentError) {
      let words = try LoadArguments.parse(
        arguments, environment: Console.environment(), randomSeed: .random(in: 0...0xFFFF_FFFF))
      switch words {
      case .help:
        print(LoadArguments.usage, terminator: "")
        return 0
      case .run(var options):
        options.secret = CallerSecret.read(options.secretFile, command: "load")
        return run(options)
      }
    } catch {
      Console.fail("latchkey load: \(error.text)\nsee latchkey load --help\n", status: 2)
    }
  }

  private static func run(_ options: LoadOptions) -> Int32 {
    // A file that cannot be written at the end would waste the run.
    let paths = [options.jsonPath, options.reportPath].compactMap { $0 }
    for path in paths where !write("", to: path) {
      Console.fail("latchkey load: cannot write \(path): \(reason())\n", status: 2)
    }
    do throws(LoadHarness.CannotStart) {
      let result = try LoadHarness.run(options)
      _ = Console.write(SummaryText.text(result))
      var status = result.exitStatus
      for (path, text) in [
        (options.jsonPath, { SummaryJSON.text(result) }),
        (options.reportPath, { ReportPage.text(result) }),
      ] {
        guard let path, !write(text(), to: path) else { continue }
        _ = Console.write("latchkey load: cannot write \(path): \(reason())\n", to: 2)
        status = status == 0 ? 2 : status
      }
      return status
    } catch {
      Console.fail("latchkey load: \(error.text)\n", status: 3)
    }
  }

  private static func reason() -> String { String(cString: strerror(errno)) }

  private static func write(_ text: String, to path: String) -> Bool {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    return Console.write(text, to: descriptor)
  }
}
