# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of PHP's frameworks, in the order in which they are looked for: Symfony last, as some stand on it."""

from __future__ import annotations

from ansible_collections.stackswap.bluegreen.plugins.module_utils.runtimes.template import Framework

FRAMEWORKS = (
    Framework(
        "Magento",
        (
            "magento/product-community-edition",
            "magento/product-enterprise-edition",
            "mage-os/product-community-edition",
        ),
        ("bin/magento",),
        "pub",
        ("pub/media", "pub/static/_cache", "var"),
        ("var", "generated", "pub/media", "pub/static", "app/etc"),
        ("bcmath", "gd", "intl", "pdo_mysql", "soap", "sockets", "xsl", "zip"),
    ),
    Framework(
        "Sylius",
        ("sylius/sylius",),
        (),
        "public",
        ("var/sessions", "public/media", "public/uploads", "config/jwt"),
        ("var", "public/media", "public/uploads"),
        ("exif", "gd", "intl", "pdo_mysql"),
    ),
    Framework(
        "Shopware",
        ("shopware/core", "shopware/platform", "shopware/production"),
        (),
        "public",
        ("config/jwt", "files", "public/media", "public/thumbnail", "public/theme", "public/sitemap", "var/log"),
        ("var", "files", "config/jwt", "public"),
        ("gd", "intl", "pdo_mysql", "zip"),
    ),
    Framework(
        "Akeneo",
        ("akeneo/pim-community-dev", "akeneo/pim-community-standard", "akeneo/pim-enterprise-standard"),
        (),
        "public",
        ("public/media", "public/uploads", "var"),
        ("var", "public/media", "public/uploads"),
        ("bcmath", "exif", "gd", "intl", "pdo_mysql", "zip"),
    ),
    Framework(
        "PrestaShop",
        ("prestashop/prestashop",),
        ("config/config.inc.php", "classes/PrestaShopAutoload.php"),
        "",
        ("img", "upload", "download"),
        ("var", "cache", "config", "img", "upload", "download", "mails", "modules", "themes", "translations"),
        ("gd", "intl", "pdo_mysql", "zip"),
    ),
    Framework(
        "Drupal",
        ("drupal/recommended-project", "drupal/core-recommended", "drupal/core"),
        (),
        "web",
        ("web/sites/default/files", "web/sites/default/private"),
        ("web/sites/default/files", "web/sites/default/private"),
        ("gd", "pdo_mysql"),
    ),
    Framework(
        "Drupal",
        (),
        ("core/lib/Drupal.php",),
        "",
        ("sites/default/files", "sites/default/private"),
        ("sites/default/files", "sites/default/private"),
        ("gd", "pdo_mysql"),
    ),
    Framework(
        "Laravel",
        ("laravel/framework",),
        ("artisan",),
        "public",
        ("storage/app", "storage/logs", "storage/framework/sessions"),
        ("storage", "bootstrap/cache"),
        ("pdo_mysql",),
    ),
    Framework(
        "Bedrock",
        ("roots/wordpress",),
        (),
        "web",
        ("web/app/uploads", "web/app/cache", "web/app/upgrade"),
        ("web/app/uploads", "web/app/cache", "web/app/upgrade"),
        ("exif", "gd", "mysqli", "zip"),
    ),
    Framework(
        "WordPress",
        ("johnpbloch/wordpress",),
        ("wp-load.php",),
        "",
        (
            "wp-content/uploads",
            "wp-content/cache",
            "wp-content/backups",
            "wp-content/backup-db",
            "wp-content/upgrade",
        ),
        ("wp-content",),
        ("exif", "gd", "mysqli", "zip"),
    ),
    Framework(
        "Symfony",
        ("symfony/framework-bundle", "symfony/symfony"),
        ("bin/console", "config/bundles.php"),
        "public",
        ("public/uploads", "var/log"),
        ("var", "public/uploads"),
        ("intl",),
    ),
)
# Extensions that the official images can add, each with the Debian packages that it is compiled with.
EXTENSIONS = {
    **dict.fromkeys(("bcmath", "calendar", "exif", "ftp", "gettext", "mysqli", "opcache", "pcntl"), ()),
    **dict.fromkeys(("pdo_mysql", "shmop", "sockets", "sysvmsg", "sysvsem", "sysvshm"), ()),
    "bz2": ("libbz2-dev",),
    "gd": ("libpng-dev", "libjpeg-dev", "libfreetype-dev", "libwebp-dev"),
    "gmp": ("libgmp-dev",),
    "intl": ("libicu-dev",),
    "ldap": ("libldap2-dev",),
    "pdo_pgsql": ("libpq-dev",),
    "pgsql": ("libpq-dev",),
    "soap": ("libxml2-dev",),
    "xsl": ("libxslt1-dev",),
    "zip": ("libzip-dev",),
}
PECL = ("apcu", "redis")
