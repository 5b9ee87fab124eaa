// Owns: `latchkey doctor`: prints what the doctor finds and ends with its verdict. Main thread.

import Doctor
import Glibc
import Settings

enum DoctorCommand {
  static func run(_ arguments: [String]) -> Int32 {
    let environment = Console.environment()
    do throws(SettingError) {
      switch try DoctorOptions.parse(arguments: arguments, environment: environment) {
      case .help:
        print(DoctorOptions.usage, terminator: "")
        return 0
      case .examine(let options):
        let diagnosis = Doctor.examine(options)
        if options.isJSON {
          print(diagnosis.json)
        } else {
          print(diagnosis.text(isColoured: isColoured(environment)), terminator: "")
        }
        return diagnosis.exitStatus
      }
    } catch {
      Console.fail("latchkey doctor: \(error.text)\nsee latchkey doctor --help\n", status: 2)
    }
  }

  /// Only on a terminal, and not where NO_COLOR (no-color.org) asks for none.
  private static func isColoured(_ environment: [String: String]) -> Bool {
    isatty(1) == 1 && (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb"
  }
}
