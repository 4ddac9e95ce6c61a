#include "readmodel/job_lease.hpp"

namespace immortal::readmodel {

boost::asio::awaitable<base::result<bool>> job_lease::hold() {
    postgres::query q{
        "INSERT INTO job_leases AS l (job, lease_owner, lease_epoch, lease_until) VALUES "
        "($1::text, $2::text, 1, clock_timestamp() + $3::bigint * INTERVAL '1 millisecond') "
        "ON CONFLICT (job) DO UPDATE SET lease_epoch = l.lease_epoch + "
        "CASE WHEN l.lease_owner = EXCLUDED.lease_owner THEN 0 ELSE 1 END, "
        "lease_owner = EXCLUDED.lease_owner, lease_until = EXCLUDED.lease_until "
        "WHERE l.lease_owner = EXCLUDED.lease_owner OR l.lease_until < clock_timestamp() "
        "OR $4::boolean RETURNING lease_epoch"};
    q.values.add(fence_.job).add(fence_.owner).add(duration_.count());
    q.values.add(first_ == job_start::take_over);
    const auto rows = co_await database_.run(std::move(q));
    if (!rows) {
        co_return base::fail(rows.error());
    }
    first_ = job_start::respect;
    if (rows->empty()) {
        co_return false;
    }
    fence_.epoch = rows->get<std::int64_t>(0, 0);
    co_return true;
}

boost::asio::awaitable<void> job_lease::release() {
    postgres::query q{
        "UPDATE job_leases SET lease_until = clock_timestamp() - INTERVAL '1 second' "
        "WHERE job = $1::text AND lease_owner = $2::text AND lease_epoch = $3::bigint"};
    q.values.add(fence_.job).add(fence_.owner).add(fence_.epoch);
    (void)co_await database_.run(std::move(q)); // else it expires
}

} // namespace immortal::readmodel
