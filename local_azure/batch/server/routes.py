"""Which operation answers which request: data only.

Every operation of the service is here, by the name that azure-batch gives it; those without a
handler answer 501.
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from local_azure.batch.calls.call import Call, Reply
from local_azure.batch.operations import (
    files,
    images,
    jobs,
    node_counts,
    node_operations,
    nodes,
    pool_scaling,
    pools,
    preparation_status,
    tasks,
)

Handler = Callable[[Call], Reply | Awaitable[Reply]]


class Operation(NamedTuple):
    """One operation of the REST API."""

    name: str
    method: str
    path: str
    handler: Handler | None


IMPLEMENTED = (
    Operation("list_jobs", "GET", "/jobs", jobs.list_jobs),
    Operation("create_job", "POST", "/jobs", jobs.create_job),
    Operation("delete_job", "DELETE", "/jobs/{job_id}", jobs.delete_job),
    Operation("get_job", "GET", "/jobs/{job_id}", jobs.get_job),
    Operation("update_job", "PATCH", "/jobs/{job_id}", jobs.update_job),
    Operation("replace_job", "PUT", "/jobs/{job_id}", jobs.replace_job),
    Operation(
        "create_task_collection",
        "POST",
        "/jobs/{job_id}/addtaskcollection",
        tasks.create_task_collection,
    ),
    Operation("get_job_task_counts", "GET", "/jobs/{job_id}/taskcounts", jobs.get_task_counts),
    Operation("list_tasks", "GET", "/jobs/{job_id}/tasks", tasks.list_tasks),
    Operation("create_task", "POST", "/jobs/{job_id}/tasks", tasks.create_task),
    Operation("delete_task", "DELETE", "/jobs/{job_id}/tasks/{task_id}", tasks.delete_task),
    Operation("get_task", "GET", "/jobs/{job_id}/tasks/{task_id}", tasks.get_task),
    Operation("replace_task", "PUT", "/jobs/{job_id}/tasks/{task_id}", tasks.replace_task),
    Operation(
        "list_task_files", "GET", "/jobs/{job_id}/tasks/{task_id}/files", files.list_task_files
    ),
    Operation(
        "delete_task_file",
        "DELETE",
        "/jobs/{job_id}/tasks/{task_id}/files/{file_path:path}",
        files.delete_task_file,
    ),
    Operation(
        "download_task_file",
        "GET",
        "/jobs/{job_id}/tasks/{task_id}/files/{file_path:path}",
        files.get_task_file,
    ),
    Operation(
        "get_task_file_properties",
        "HEAD",
        "/jobs/{job_id}/tasks/{task_id}/files/{file_path:path}",
        files.get_task_file_properties,
    ),
    Operation(
        "terminate_task", "POST", "/jobs/{job_id}/tasks/{task_id}/terminate", tasks.terminate_task
    ),
    Operation(
        "reactivate_task",
        "POST",
        "/jobs/{job_id}/tasks/{task_id}/reactivate",
        tasks.reactivate_task,
    ),
    Operation(
        "list_job_preparation_and_release_task_status",
        "GET",
        "/jobs/{job_id}/jobpreparationandreleasetaskstatus",
        preparation_status.list_status,
    ),
    Operation("disable_job", "POST", "/jobs/{job_id}/disable", jobs.disable_job),
    Operation("enable_job", "POST", "/jobs/{job_id}/enable", jobs.enable_job),
    Operation("terminate_job", "POST", "/jobs/{job_id}/terminate", jobs.terminate_job),
    Operation("list_pools", "GET", "/pools", pools.list_pools),
    Operation("create_pool", "POST", "/pools", pools.create_pool),
    Operation("delete_pool", "DELETE", "/pools/{pool_id}", pools.delete_pool),
    Operation("get_pool", "GET", "/pools/{pool_id}", pools.get_pool),
    Operation("pool_exists", "HEAD", "/pools/{pool_id}", pools.pool_exists),
    Operation("update_pool", "PATCH", "/pools/{pool_id}", pools.update_pool),
    Operation("list_nodes", "GET", "/pools/{pool_id}/nodes", nodes.list_nodes),
    Operation("get_node", "GET", "/pools/{pool_id}/nodes/{node_id}", nodes.get_node),
    Operation(
        "list_node_files", "GET", "/pools/{pool_id}/nodes/{node_id}/files", files.list_node_files
    ),
    Operation(
        "delete_node_file",
        "DELETE",
        "/pools/{pool_id}/nodes/{node_id}/files/{file_path:path}",
        files.delete_node_file,
    ),
    Operation(
        "download_node_file",
        "GET",
        "/pools/{pool_id}/nodes/{node_id}/files/{file_path:path}",
        files.get_node_file,
    ),
    Operation(
        "get_node_file_properties",
        "HEAD",
        "/pools/{pool_id}/nodes/{node_id}/files/{file_path:path}",
        files.get_node_file_properties,
    ),
    Operation("list_pool_node_counts", "GET", "/nodecounts", node_counts.list_pool_node_counts),
    Operation(
        "disable_pool_auto_scale",
        "POST",
        "/pools/{pool_id}/disableautoscale",
        pool_scaling.disable_pool_auto_scale,
    ),
    Operation(
        "enable_pool_auto_scale",
        "POST",
        "/pools/{pool_id}/enableautoscale",
        pool_scaling.enable_pool_auto_scale,
    ),
    Operation(
        "evaluate_pool_auto_scale",
        "POST",
        "/pools/{pool_id}/evaluateautoscale",
        pool_scaling.evaluate_pool_auto_scale,
    ),
    Operation(
        "deallocate_node",
        "POST",
        "/pools/{pool_id}/nodes/{node_id}/deallocate",
        node_operations.deallocate_node,
    ),
    Operation(
        "disable_node_scheduling",
        "POST",
        "/pools/{pool_id}/nodes/{node_id}/disablescheduling",
        node_operations.disable_node_scheduling,
    ),
    Operation(
        "enable_node_scheduling",
        "POST",
        "/pools/{pool_id}/nodes/{node_id}/enablescheduling",
        node_operations.enable_node_scheduling,
    ),
    Operation(
        "reboot_node",
        "POST",
        "/pools/{pool_id}/nodes/{node_id}/reboot",
        node_operations.reboot_node,
    ),
    Operation(
        "reimage_node",
        "POST",
        "/pools/{pool_id}/nodes/{node_id}/reimage",
        node_operations.reimage_node,
    ),
    Operation(
        "start_node", "POST", "/pools/{pool_id}/nodes/{node_id}/start", node_operations.start_node
    ),
    Operation("remove_nodes", "POST", "/pools/{pool_id}/removenodes", pool_scaling.remove_nodes),
    Operation("resize_pool", "POST", "/pools/{pool_id}/resize", pool_scaling.resize_pool),
    Operation(
        "stop_pool_resize", "POST", "/pools/{pool_id}/stopresize", pool_scaling.stop_pool_resize
    ),
    Operation(
        "replace_pool_properties",
        "POST",
        "/pools/{pool_id}/updateproperties",
        pools.replace_pool_properties,
    ),
    Operation("list_supported_images", "GET", "/supportedimages", images.list_supported_images),
)

NOT_IMPLEMENTED = (
    Operation("list_applications", "GET", "/applications", None),
    Operation("get_application", "GET", "/applications/{application_id}", None),
    Operation("list_subtasks", "GET", "/jobs/{job_id}/tasks/{task_id}/subtasksinfo", None),
    Operation("list_job_schedules", "GET", "/jobschedules", None),
    Operation("create_job_schedule", "POST", "/jobschedules", None),
    Operation("delete_job_schedule", "DELETE", "/jobschedules/{job_schedule_id}", None),
    Operation("get_job_schedule", "GET", "/jobschedules/{job_schedule_id}", None),
    Operation("job_schedule_exists", "HEAD", "/jobschedules/{job_schedule_id}", None),
    Operation("update_job_schedule", "PATCH", "/jobschedules/{job_schedule_id}", None),
    Operation("replace_job_schedule", "PUT", "/jobschedules/{job_schedule_id}", None),
    Operation("disable_job_schedule", "POST", "/jobschedules/{job_schedule_id}/disable", None),
    Operation("enable_job_schedule", "POST", "/jobschedules/{job_schedule_id}/enable", None),
    Operation("list_jobs_from_schedule", "GET", "/jobschedules/{job_schedule_id}/jobs", None),
    Operation("terminate_job_schedule", "POST", "/jobschedules/{job_schedule_id}/terminate", None),
    Operation("list_node_extensions", "GET", "/pools/{pool_id}/nodes/{node_id}/extensions", None),
    Operation(
        "get_node_extension",
        "GET",
        "/pools/{pool_id}/nodes/{node_id}/extensions/{extension_name}",
        None,
    ),
    Operation(
        "get_node_remote_login_settings",
        "GET",
        "/pools/{pool_id}/nodes/{node_id}/remoteloginsettings",
        None,
    ),
    Operation(
        "upload_node_logs", "POST", "/pools/{pool_id}/nodes/{node_id}/uploadbatchservicelogs", None
    ),
    Operation("create_node_user", "POST", "/pools/{pool_id}/nodes/{node_id}/users", None),
    Operation(
        "delete_node_user", "DELETE", "/pools/{pool_id}/nodes/{node_id}/users/{user_name}", None
    ),
    Operation(
        "replace_node_user", "PUT", "/pools/{pool_id}/nodes/{node_id}/users/{user_name}", None
    ),
    Operation("list_pool_usage_metrics", "GET", "/poolusagemetrics", None),
)

OPERATIONS = (*IMPLEMENTED, *NOT_IMPLEMENTED)
