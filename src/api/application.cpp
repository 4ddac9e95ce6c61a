#include "api/application.hpp"

#include "api/routes.hpp"

namespace immortal::api {

application::application(boost::asio::any_io_executor executor, settings options, services uses,
                         const base::clock& clock, base::random_source& random)
    : services_(std::move(uses)),
      dispatcher_(make_routes(services_), make_authenticator(services_), options.rates, clock,
                  random, services_.metrics, services_.version),
      server_(
          std::move(executor), std::move(options.http),
          [this](const request& asked) { return dispatcher_.handle(asked); }, services_.metrics) {}

} // namespace immortal::api
