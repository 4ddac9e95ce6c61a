#include "esdb/users_service.hpp"

#include "esdb/caller_ledger.hpp"
#include "esdb/typed_call.hpp"
#include "esproto/convert.hpp"
#include "esproto/wire/users.grpc.pb.h"

namespace immortal::esdb {
namespace {

namespace wire = ::event_store::client::users;
using base::errc;

rpc_status user_refusal(const base::error& error, const std::string& login) {
    const auto told = [&](grpc::StatusCode code, const char* exception) {
        return rpc_status{code, error.message, {{"exception", exception}, {"login-name", login}}};
    };
    switch (error.code) {
    case errc::not_found:
        return told(grpc::StatusCode::NOT_FOUND, "user-not-found");
    case errc::already_exists:
    case errc::conflict:
        return told(grpc::StatusCode::FAILED_PRECONDITION, "user-conflict");
    default:
        return to_status(error, {});
    }
}

template <typename Response>
rpc_result<Response> answer(const base::status& done, const std::string& login) {
    return done ? rpc_result<Response>(Response{}) : refuse(user_refusal(done.error(), login));
}

class users_service {
public:
    users_service(authorizer& rules, user_directory* users) : rules_(rules), users_(users) {}

    awaitable<rpc_result<wire::CreateResp>> create(call& asked, wire::CreateReq request) {
        if (auto refused = co_await check(asked)) {
            co_return refuse(std::move(*refused));
        }
        const auto& options = request.options();
        user_record user;
        user.login_name = options.login_name();
        user.full_name = options.full_name();
        user.groups = {options.groups().begin(), options.groups().end()};
        const auto done = co_await users_->create(std::move(user), options.password());
        co_return answer<wire::CreateResp>(done, options.login_name());
    }

    awaitable<rpc_result<wire::UpdateResp>> update(call& asked, wire::UpdateReq request) {
        if (auto refused = co_await check(asked)) {
            co_return refuse(std::move(*refused));
        }
        const auto& options = request.options();
        const auto done = co_await users_->update(
            options.login_name(), options.full_name(),
            {options.groups().begin(), options.groups().end()}, options.password());
        co_return answer<wire::UpdateResp>(done, options.login_name());
    }

    awaitable<rpc_result<wire::DeleteResp>> remove(call& asked, wire::DeleteReq request) {
        if (auto refused = co_await check(asked)) {
            co_return refuse(std::move(*refused));
        }
        const std::string& login = request.options().login_name();
        co_return answer<wire::DeleteResp>(co_await users_->remove(login), login);
    }

    awaitable<rpc_result<wire::EnableResp>> enable(call& asked, wire::EnableReq request) {
        if (auto refused = co_await check(asked)) {
            co_return refuse(std::move(*refused));
        }
        const std::string& login = request.options().login_name();
        co_return answer<wire::EnableResp>(co_await users_->set_disabled(login, false), login);
    }

    awaitable<rpc_result<wire::DisableResp>> disable(call& asked, wire::DisableReq request) {
        if (auto refused = co_await check(asked)) {
            co_return refuse(std::move(*refused));
        }
        const std::string& login = request.options().login_name();
        co_return answer<wire::DisableResp>(co_await users_->set_disabled(login, true), login);
    }

    awaitable<rpc_result<wire::ChangePasswordResp>>
    change_password(call& asked, wire::ChangePasswordReq request) {
        const auto& options = request.options();
        if (auto refused = co_await check(asked, options.login_name())) {
            co_return refuse(std::move(*refused));
        }
        const auto done = co_await users_->change_password(
            options.login_name(), options.current_password(), options.new_password(),
            address_of_peer(asked.headers().peer));
        co_return answer<wire::ChangePasswordResp>(done, options.login_name());
    }

    awaitable<rpc_result<wire::ResetPasswordResp>> reset_password(call& asked,
                                                                  wire::ResetPasswordReq request) {
        if (auto refused = co_await check(asked)) {
            co_return refuse(std::move(*refused));
        }
        const auto& options = request.options();
        const auto done =
            co_await users_->reset_password(options.login_name(), options.new_password());
        co_return answer<wire::ResetPasswordResp>(done, options.login_name());
    }

    awaitable<rpc_status> details(call& asked) {
        auto request = co_await receive_only<wire::DetailsReq>(asked);
        if (!request) {
            co_return std::move(request.error());
        }
        const std::string& login = request->options().login_name();
        if (auto refused = co_await check(asked, login)) {
            co_return std::move(*refused);
        }
        std::vector<user_record> wanted;
        if (login.empty()) {
            wanted = users_->all();
        } else if (auto user = users_->find(login)) {
            wanted.push_back(std::move(*user));
        } else {
            co_return user_refusal({errc::not_found, "User '" + login + "' is not found."}, login);
        }
        for (const user_record& user : wanted) {
            if (!co_await send(asked, details_of(user))) {
                break;
            }
        }
        co_return rpc_status{};
    }

private:
    // Empty: go on. `own`: what a user may do with the own account.
    awaitable<std::optional<rpc_status>> check(call& asked, std::string own = {}) {
        if (users_ == nullptr) {
            co_return rpc_status{grpc::StatusCode::FAILED_PRECONDITION,
                                 "Security is off: there are no users. Start the store with TLS to "
                                 "have them."};
        }
        if (!own.empty() && own == asked.caller().name) {
            co_return std::nullopt;
        }
        const auto may = co_await rules_.may_operate(asked.caller(), operation::users);
        co_return may ? std::nullopt : std::optional(to_status(may.error(), {}));
    }

    static wire::DetailsResp details_of(const user_record& user) {
        wire::DetailsResp out;
        auto& details = *out.mutable_user_details();
        details.set_login_name(user.login_name);
        details.set_full_name(user.full_name);
        details.mutable_groups()->Assign(user.groups.begin(), user.groups.end());
        details.mutable_last_updated()->set_ticks_since_epoch(esproto::ticks(user.last_updated));
        details.set_disabled(user.disabled);
        return out;
    }

    authorizer& rules_;
    user_directory* users_;
};

} // namespace

void add_users(method_table& methods, authorizer& rules, user_directory* users) {
    const auto service = std::make_shared<users_service>(rules, users);
    const auto name = wire::Users::service_full_name();
    const auto add = [&](std::string_view method, auto answer,
                         access_rule access = access_rule::operating(operation::users)) {
        methods.add(name, method, {.serve = unary(service, answer), .access = access});
    };
    add("Create", &users_service::create);
    add("Update", &users_service::update);
    add("Delete", &users_service::remove);
    add("Enable", &users_service::enable);
    add("Disable", &users_service::disable);
    add("ChangePassword", &users_service::change_password, access_rule::login());
    add("ResetPassword", &users_service::reset_password);
    methods.add(name, "Details",
                {.serve = [service](call& asked) { return service->details(asked); },
                 .access = access_rule::login()});
}

} // namespace immortal::esdb
