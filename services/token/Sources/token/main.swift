import ServiceKit
import TokenService

await TokenProcess.process.main()
