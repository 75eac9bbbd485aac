import AuthService
import ServiceKit

await AuthProcess.process.main()
